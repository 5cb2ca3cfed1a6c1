"""The instruments of a run: made from its config, asked at their cadence, and kept from changing anything."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.config import REGISTRIES, Component, ConfigError
from trimtab.training.loop.excursion import Loop, excursion
from trimtab.training.loop.passes import TrainLoader
from trimtab.training.loop.probe import Probe


class Instrument:
    """Base of all instruments: measures the state after a step.

    Its config parameters are its keyword-only `__init__` parameters, `every` among them.
    """

    every: int

    def due(self, step: int, last: int) -> bool:
        """Whether it measures after `step` of a run whose last step is `last`."""
        return step % self.every == 0

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """The figures of this moment, by name. What it does to the run in between is taken back."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What must be in the checkpoint for the instrument to go on exactly."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` gave."""


class InstrumentSet:
    """The instruments of a config, in its order; `last` holds the newest figures of each, with their step.

    While `muted`, none measures, and what they remember is not taken back.
    """

    def __init__(self, components: Sequence[Component] = (), steps: int = 1) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.last: dict[str, dict[str, Any]] = {}
        self.muted = False
        registry = REGISTRIES["instrument"]
        for index, component in enumerate(components):
            at, name = f"monitor.instruments[{index}]: ", component.name
            factory = registry.load(name, at)
            if not (isinstance(factory, type) and issubclass(factory, Instrument)):
                raise ConfigError(
                    f"{at}'{name}' is not an instrument: its class derives from trimtab.training.Instrument."
                )
            if name in self.instruments:
                raise ConfigError(f"{at}'{name}' is there already; its figures go by its name, so a run has one of it.")
            instrument = self.instruments[name] = registry.build(component.spec)
            if not any(instrument.due(step, steps) for step in range(1, steps + 1)):
                raise ConfigError(
                    f"{at}'{name}' would never measure in a run of {steps} steps; give it a smaller `every` (and, where it "
                    "follows the run's future, a horizon that fits before the last step)."
                )

    def measure(self, trainer: Loop, loader: TrainLoader) -> dict[str, dict[str, Any]]:
        """The figures of the instruments whose cadence falls on the trainer's step, by name; `seconds` is what it took."""
        state, found = trainer.state, {}
        for name, instrument in self.instruments.items():
            if self.muted or not instrument.due(state.step, state.episode.steps):
                continue
            begun = time.perf_counter()
            generator = state.streams.at("instruments", name, state.step, state.attempt)
            with excursion(trainer) as aside:
                values = dict(instrument.measure(Probe(trainer, loader, generator, aside)))
            found[name] = values | {"seconds": time.perf_counter() - begun}
            self.last[name] = values | {"step": state.step}
        return found

    def state_dict(self) -> dict[str, Any]:
        """The newest figures, and what each instrument remembers."""
        if not self.instruments:
            return {}
        return {"last": self.last, "memory": {name: one.state_dict() for name, one in self.instruments.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back; an instrument that a fork added starts afresh, and one that it dropped is forgotten."""
        if self.muted:
            return
        self.last = {name: dict(values) for name, values in state.get("last", {}).items() if name in self.instruments}
        for name, memory in state.get("memory", {}).items():
            if name in self.instruments:
                self.instruments[name].load_state_dict(memory)

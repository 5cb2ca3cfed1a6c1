"""The instruments of a run: built from its config, called at their cadence, and kept from changing the run."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.config import REGISTRIES, Component, ConfigError
from trimtab.data import BatchSource
from trimtab.training.loop.excursion import Loop, excursion
from trimtab.training.loop.probe import Probe


class Instrument(ABC):
    """Base of all instruments: measures the state after a step.

    The config parameters of a subclass are its keyword-only `__init__` parameters, `every` among them.
    """

    every: int

    def due(self, step: int, last: int) -> bool:
        """Whether it measures after `step` of a run whose last step is `last`."""
        return step % self.every == 0

    @abstractmethod
    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """Returns the figures of this state, by name. Whatever it does to the run is undone afterwards."""

    def state_dict(self) -> dict[str, Any]:
        """The instrument's state, as it is kept in checkpoints; empty for one that remembers nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 - most instruments remember nothing
        """Set the state to what `state_dict` returned."""


class InstrumentSet:
    """The instruments of a config, in its order; `last` holds the newest figures of each, with their step.

    While `muted`, no instrument measures, and loading a state leaves their memory as it is.
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
                    f"{at}'{name}' is not an instrument: its class must derive from trimtab.training.Instrument."
                )
            if missing := sorted(getattr(factory, "__abstractmethods__", ())):
                raise ConfigError(f"{at}'{name}' has no method `{missing[0]}`. Define it in the class.")
            if name in self.instruments:
                raise ConfigError(
                    f"{at}'{name}' is listed twice. Its figures are recorded under its name, so list it once."
                )
            instrument = self.instruments[name] = registry.build(component.spec)
            if not any(instrument.due(step, steps) for step in range(1, steps + 1)):
                raise ConfigError(
                    f"{at}'{name}' would never measure in a run of {steps} steps; give it a smaller `every` (and, if it "
                    "trains further steps, a horizon that ends before the last step)."
                )

    def measure(self, trainer: Loop, loader: BatchSource) -> dict[str, dict[str, Any]]:
        """The figures of the instruments that are due at the trainer's step, by name, each with the `seconds` that it took."""
        state, figures = trainer.state, {}
        for name, instrument in self.instruments.items():
            if self.muted or not instrument.due(state.step, state.episode.steps):
                continue
            start = time.perf_counter()
            generator = state.streams.at("instruments", name, state.step, state.attempt)
            with excursion(trainer) as log:
                values = dict(instrument.measure(Probe(trainer, loader, generator, log)))
            figures[name] = values | {"seconds": time.perf_counter() - start}
            self.last[name] = values | {"step": state.step}
        return figures

    def state_dict(self) -> dict[str, Any]:
        """The newest figures and the memory of each instrument."""
        if not self.instruments:
            return {}
        return {"last": self.last, "memory": {name: one.state_dict() for name, one in self.instruments.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set figures and memories to what `state_dict` returned; instruments that this run does not have are left out."""
        if self.muted:
            return
        self.last = {name: dict(values) for name, values in state.get("last", {}).items() if name in self.instruments}
        for name, memory in state.get("memory", {}).items():
            if name in self.instruments:
                self.instruments[name].load_state_dict(memory)

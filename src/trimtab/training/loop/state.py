"""The complete state of a run."""

import json
from collections.abc import Set
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from trimtab.boundary import foreign
from trimtab.config import EpisodeConfig, RunError
from trimtab.random import Streams
from trimtab.regimes import Divergence, Monitor, RegimeController
from trimtab.runtime.checkpoint import Snapshot
from trimtab.runtime.nested import join, load_named_tensors, named_tensors, split
from trimtab.training.config import RunConfig, changed_keys
from trimtab.training.loop.evaluated import Evaluated
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.optimizer import load_moments, moments
from trimtab.training.loop.ring import Ring


class InstrumentState(Protocol):
    """A run's instruments, as its state sees them. While `muted`, loading leaves them as they are."""

    muted: bool

    def state_dict(self) -> dict[str, Any]:
        """Their state, as checkpoints keep it."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        ...


@dataclass
class TrainState:
    """Everything that decides how a run continues. A run restored from it continues bit for bit.

    `step` counts finished steps, `cursor` the sequences drawn, `draws` the batches, `tokens` the targets trained on, `seconds`
    the time spent in steps. `untrained_loss` is the cross-entropy before the first update, in nats per token, from the first step
    where it is finite. `run_id` is the run that the state belongs to. A rewind sets `step` and `evaluated` back with the weights
    and increments `attempt`; all other counters only grow. The schedule has no state: it is a function of the step.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    streams: Streams
    config: RunConfig
    monitor: Monitor
    divergence: Divergence
    controller: RegimeController
    hooks: HookSet
    episode: EpisodeConfig
    ring: Ring
    instruments: InstrumentState
    step: int = 0
    attempt: int = 0
    cursor: int = 0
    draws: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluated: Evaluated = field(default_factory=Evaluated)
    untrained_loss: float | None = None
    ended: list[str] | None = None
    run_id: str | None = None

    _COUNTERS: ClassVar = (
        "step",
        "attempt",
        "cursor",
        "draws",
        "tokens",
        "seconds",
        "untrained_loss",
        "ended",
        "run_id",
    )

    def snapshot(self) -> Snapshot:
        """The state as data. Tensors on the CPU are shared, not copied: write or clone them before the next step."""
        changing = {
            "counters": {name: getattr(self, name) for name in self._COUNTERS},
            "evaluated": asdict(self.evaluated),
            "monitor": self.monitor.state_dict(),
            "divergence": self.divergence.state_dict(),
            "controller": self.controller.state_dict(),
            "hooks": self.hooks.state_dict(),
            "instruments": self.instruments.state_dict(),
            "optimizer": moments(self.optimizer),
            "ring": self.ring.state_dict(),
        }
        values, tensors = split(changing, "state")
        values |= {
            "step": self.step,
            "streams": self.streams.state_dict(),
            "episode": self.episode.model_dump(mode="json"),
            "config": self.config.model_dump(mode="json"),
        }
        return Snapshot(named_tensors(self.model), tensors, values)

    def restore(self, snapshot: Snapshot, overridden: frozenset[str] = frozenset()) -> bool:
        """Set the state to a snapshot's, except for what this state's config changes. Returns True if the losses differ.

        Keys in which the config differs from the snapshot's, and those that are `overridden` by name (`episode.clip`, `seed`,
        ...), keep the values of this state; the optimiser's hyperparameters always come from the config. Under another loss
        what remembers values of the loss or its gradient starts again: the monitor's statistics, the divergence judge and the
        controller. Raises `RunError` when the model or the optimiser does not fit.
        """
        then = RunConfig.model_validate_json(json.dumps(snapshot.values["config"]), strict=True)
        changed = changed_keys(then, self.config) | overridden
        if then.episode.optimizer.name != self.config.episode.optimizer.name:
            raise RunError(
                f"The checkpoint was written by another optimiser ({then.episode.optimizer.name}), whose state does not fit "
                f"{self.config.episode.optimizer.name}. Continue or fork the run with the same optimiser."
            )
        own = named_tensors(self.model)
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in snapshot.model.items()}:
            differing = sorted(k for k in own.keys() ^ snapshot.model.keys()) or [
                k for k in own if own[k].shape != snapshot.model[k].shape
            ]
            raise RunError(
                f"The checkpoint holds another model than the config describes (they differ in {', '.join(differing[:3])}). "
                "Continue or fork the run with the same model; start a new run for another one."
            )
        load_named_tensors(self.model, snapshot.model)
        with foreign(
            RunError,
            lambda reason: (
                f"The state in the checkpoint of step {snapshot.values['step']} does not fit the run: {reason}. Restore its "
                "state.json from a copy, or remove that checkpoint: an older one is used then."
            ),
        ):
            self._restore_values(snapshot, changed)
        if other_loss := then.episode.loss != self.config.episode.loss:
            self.monitor.restart()
            self.divergence.restart(None)
        return other_loss

    def _restore_values(self, snapshot: Snapshot, changed: Set[str]) -> None:
        """Set everything except the weights."""
        changing = join(snapshot.values, snapshot.optimizer)
        for name in self._COUNTERS:
            setattr(self, name, changing["counters"][name])
        self.evaluated = Evaluated(**changing["evaluated"])
        self.monitor.load_state_dict(changing["monitor"])
        self.divergence.load_state_dict(changing["divergence"])
        self.hooks.load_state_dict(changing["hooks"])
        self.instruments.load_state_dict(changing.get("instruments", {}))
        load_moments(self.optimizer, changing["optimizer"])
        if changed:
            self.ended = None
        if not changed & {"episode.regime_controller", "episode.loss"}:
            self.controller.load_state_dict(changing["controller"])
        if "episode.regime_controller" not in changed:
            self.ring.load_state_dict(changing["ring"])
        if "seed" not in changed:
            self.streams.load_state_dict(snapshot.values["streams"])
        saved = EpisodeConfig.model_validate_json(json.dumps(snapshot.values["episode"]), strict=True)
        kept = {
            name: getattr(self.episode, name) for name in EpisodeConfig.model_fields if f"episode.{name}" in changed
        }
        self.episode = saved.model_copy(update=kept)

"""The interface of controllers, which may intervene in a run, and their decisions."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from trimtab.config import EpisodeConfig
from trimtab.regimes.state import RegimeState


@dataclass(frozen=True)
class Decision:
    """A controller's decision, with its reason.

    `episode` is the `EpisodeConfig` from this step on (None: unchanged); only its changeable keys may differ. `action` is for
    this step: make the update, skip it, stop the run after it, or *rewind*. A rewind restores parameters and optimiser moments
    from the newest snapshot of step `rewind_to` or before, or from the oldest if there is none; the data and all other memories
    continue. `clip` bounds the gradient norm of this step alone, instead of the episode's bound.
    """

    reason: str
    episode: EpisodeConfig | None = None
    action: Literal["update", "skip", "rewind", "stop"] = "update"
    clip: float | None = None
    rewind_to: int | None = None

    def effective(self, state: RegimeState, episode: EpisodeConfig) -> bool:
        """Whether the decision changes how the run continues."""
        if self.action != "update" or (self.episode is not None and self.episode != episode):
            return True
        if self.clip is None:
            return False
        usual = math.inf if episode.clip is None else episode.clip
        return min(self.clip, state.grad_norm) != min(usual, state.grad_norm)


class RegimeController(Protocol):
    """Called once per step, after the gradient norm is known and before the update.

    Besides its config parameters, a controller may use only its own state and the two arguments of `update`, so that it can be
    replayed from the records.
    """

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """Returns the decision at this step, or None."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The controller's state, JSON-ready."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        ...


class Controller:
    """A base for controllers that decides nothing. Its state is the attributes that `remembered` names.

    `rewinds` says whether it may decide to rewind; only then are snapshots kept.
    """

    remembered: ClassVar[tuple[str, ...]] = ()
    rewinds: bool = False

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """No decision."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """The remembered attributes; lists are copied."""
        values = ((name, getattr(self, name)) for name in self.remembered)
        return {name: list(value) if isinstance(value, list) else value for name, value in values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        for name in self.remembered:
            value = state[name]
            setattr(self, name, list(value) if isinstance(value, list) else value)


class NoController(Controller):
    """Never decides anything."""

"""What may intervene while a run goes on."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from trimtab.config import EpisodeConfig
from trimtab.regimes.state import RegimeState


@dataclass(frozen=True)
class Decision:
    """A controller's decision, with its reason.

    `episode` is the `EpisodeConfig` in force from now on (None: unchanged); only its changeable keys may differ. `action`
    is about this step: make the update, skip it, or stop the run after it.
    """

    reason: str
    episode: EpisodeConfig | None = None
    action: Literal["update", "skip", "stop"] = "update"


class RegimeController(Protocol):
    """Called once a step, after the gradient norm is known and before the update.

    It may use only its own state and what `steps.jsonl` holds, so that it can be replayed from the records.
    """

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The decision at this step, or None."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The controller's memory, JSON-ready."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the memory to what `state_dict` gave."""
        ...


class NoController:
    """Never decides anything."""

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """No decision."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to remember."""

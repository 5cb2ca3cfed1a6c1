"""A controller that acts at random, to record what its actions do."""

from typing import Annotated, ClassVar

from pydantic import Field

from trimtab.config import EpisodeConfig
from trimtab.random import derive_seed
from trimtab.regimes.actions import ChoosingController
from trimtab.regimes.state import RegimeState

_Share = Annotated[float, Field(ge=0, le=1)]


class Exploring(ChoosingController):
    """Takes a random action at some of the steps, so that `trimtab controller fit` can learn from the effects.

    The actions are those of the controller `learned`, each that is possible at a step with the same probability. A draw is a
    function of `seed`, the number of steps so far and the loss of the step. The loss is part of it, so that runs under other
    seeds draw other actions at the same step.
    """

    remembered: ClassVar = ("calls",)

    def __init__(
        self,
        *,
        flagged: Annotated[
            _Share, Field(description="probability of an action at a step that the monitor flags")
        ] = 0.5,
        calm: Annotated[_Share, Field(description="probability of an action at any other step")] = 0.04,
        seed: Annotated[int, Field(ge=0, description="seed of the draws")] = 0,
    ) -> None:
        super().__init__()
        self.flagged, self.calm, self.seed = flagged, calm, seed
        self.calls = 0

    def choose(self, state: RegimeState, episode: EpisodeConfig, names: list[str]) -> tuple[str, str] | None:
        """A random action, or None."""
        self.calls += 1
        share, steps = (self.flagged, "flagged") if state.anomaly_flags else (self.calm, "calm")
        if self._draw(state, "whether") >= share:
            return None
        action = names[int(self._draw(state, "which") * len(names))]
        return action, f"{action}, drawn at random from {len(names)} actions at a {steps} step"

    def _draw(self, state: RegimeState, purpose: str) -> float:
        """A number in [0, 1)."""
        drawn = derive_seed(self.seed, "controller", self.calls, float(state.train_loss).hex(), purpose)
        return (drawn >> 10) / 2**53

"""The actions that the controllers `exploring` and `learned` choose from."""

import math
from dataclasses import replace
from typing import Any

from trimtab.config import EpisodeConfig
from trimtab.records.values import is_number
from trimtab.regimes.controller import Controller, Decision
from trimtab.regimes.robust import RobustWindow
from trimtab.regimes.state import RegimeState

ACTIONS = ("skip", "clip", "rewind", "lower_rate", "restore_rate")
"""Their order is that of the tensors in a policy."""

LOWEST_RATE = 0.125
"""No action lowers the learning rate's factor below this share of its first value."""

_WINDOW, _SPIKE = 50, 6.0


class Recent:
    """What actions and features need of the steps before: usual values, rewinds, and how many steps in a row were flagged.

    A usual value is the median of the last 50 that were not spikes, infinite until there are enough. `base_rate` is the
    first learning-rate factor. A step number that does not increase follows a rewind, which ends a row of flagged steps;
    `rewinds` counts them, from the first step that was observed.
    """

    def __init__(self) -> None:
        self.norms = RobustWindow(_WINDOW, _SPIKE)
        self.updates = RobustWindow(_WINDOW, _SPIKE)
        self.flagged = self.step = self.rewinds = 0
        self.base_rate = math.nan

    @property
    def usual_norm(self) -> float:
        """The gradient norm that the action `clip` bounds a step to."""
        return self.norms.bound(0.0)

    @property
    def usual_update(self) -> float:
        """The usual size of an update relative to the parameters."""
        return self.updates.bound(0.0)

    def observe(self, state: RegimeState, episode: EpisodeConfig) -> None:
        """Process one step."""
        self.norms.observe(state.grad_norm)
        if state.update_ratio > 0:  # neither skipped nor missing
            self.updates.observe(state.update_ratio)
        if state.step <= self.step:
            self.rewinds += 1
            self.flagged = 0
        self.flagged = self.flagged + 1 if state.anomaly_flags else 0
        self.step = state.step
        if math.isnan(self.base_rate):
            self.base_rate = episode.lr_factor

    def state_dict(self) -> dict[str, Any]:
        """The state, JSON-ready."""
        return {
            "norms": self.norms.state_dict(),
            "updates": self.updates.state_dict(),
            "flagged": self.flagged,
            "step": self.step,
            "rewinds": self.rewinds,
            "base_rate": self.base_rate,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        self.norms.load_state_dict(state["norms"])
        self.updates.load_state_dict(state["updates"])
        self.flagged, self.step, self.rewinds = state["flagged"], state["step"], state["rewinds"]
        self.base_rate = state["base_rate"]


def possible(state: RegimeState, episode: EpisodeConfig, recent: Recent) -> dict[str, Decision]:
    """The actions that would change the run at this step, in the order of `ACTIONS`, as decisions without a reason.

    *skip* leaves out the update. *clip* bounds this step's gradient to the usual norm. *rewind* goes back to a snapshot from
    before the first of the flagged steps in a row; that of the step right before them is not used, because its update may have
    damaged the weights. *lower_rate* halves the learning rate's factor for the rest of the run, and *restore_rate* sets it back
    to its first value. A step whose loss or gradient is not finite makes no update, so there is nothing to skip or clip. A
    rewind is possible until the run has made as many as `episode.rewind.limit` allows. At least one action is always
    possible.
    """
    rate, bound = episode.lr_factor, recent.usual_norm
    if episode.clip is not None:
        bound = min(bound, episode.clip)
    clip = Decision("", clip=max(bound, 1e-12))
    actions = dict[str, Decision]()
    if math.isfinite(state.train_loss) and math.isfinite(state.grad_norm):
        actions["skip"] = Decision("", action="skip")
        if math.isfinite(bound) and clip.effective(state, episode):
            actions["clip"] = clip
    if recent.rewinds < episode.rewind.limit:
        actions["rewind"] = Decision("", action="rewind", rewind_to=state.step - max(recent.flagged, 1) - 1)
    if rate / 2 >= LOWEST_RATE * recent.base_rate:
        actions["lower_rate"] = Decision("", episode=episode.changed(lr_factor=rate / 2))
    if rate < recent.base_rate:
        actions["restore_rate"] = Decision("", episode=episode.changed(lr_factor=recent.base_rate))
    return actions


def action_of(kind: str, before: Any, after: Any) -> str | None:
    """The action of a recorded decision of these controllers, from its event; None for a decision that is none of them."""
    if kind in ("decision_skip", "decision_clip", "decision_rewind"):
        return kind.removeprefix("decision_")
    if kind != "decision" or not isinstance(before, dict) or not isinstance(after, dict) or set(after) != {"lr_factor"}:
        return None
    old, new = before.get("lr_factor"), after["lr_factor"]
    if not is_number(old) or not is_number(new):
        return None
    return "lower_rate" if new < old else "restore_rate"


class ChoosingController(Controller):
    """Base of the controllers that choose one of the actions, or none; keeps snapshots, because one action is to rewind."""

    rewinds = True

    def __init__(self) -> None:
        self.recent = Recent()

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The chosen action with its reason, or None."""
        self.recent.observe(state, episode_config)
        actions = possible(state, episode_config, self.recent)
        chosen = self.choose(state, episode_config, list(actions))
        return None if chosen is None else replace(actions[chosen[0]], reason=chosen[1])

    def choose(self, state: RegimeState, episode: EpisodeConfig, names: list[str]) -> tuple[str, str] | None:
        """One of the actions `names`, and why; None for no action."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The remembered attributes and what was seen recently."""
        return super().state_dict() | {"recent": self.recent.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        super().load_state_dict(state)
        self.recent.load_state_dict(state["recent"])

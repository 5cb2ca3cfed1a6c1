"""Names the regime of a run, with hysteresis."""

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Any

from trimtab.config import MonitorConfig
from trimtab.regimes.state import Regime

_FLAGS = 3
"""A run is unstable from this many flagged steps within `horizon`."""


@dataclass(frozen=True)
class Transition:
    """A change of regime, with its reason."""

    before: Regime
    after: Regime
    reason: str


class RegimeClassifier:
    """Names the regime: warming, stable, plateau, overfitting or unstable.

    *unstable*: three or more of the last `horizon` steps were flagged, or the smoothed loss is more than `unstable_rise` above
    its lowest value so far. *overfitting*: the last validation loss is more than `overfitting_rise` above the best one, and the
    smoothed training loss fell since the best evaluation. *warming*: fewer than `medium_horizon` losses so far. *plateau*: from
    the older to the newer half of the last `medium_horizon` losses, the median fell by less than `plateau_gain`. *stable*: none
    of these. The first condition that holds decides. The regime changes when a new name has been chosen `patience` steps in a
    row. `Divergence` decides about *diverged*, which ends the run.
    """

    def __init__(self, config: MonitorConfig) -> None:
        self.config = config
        self.regime: Regime = "warming"
        self.candidate: Regime = "warming"
        self.held = 0
        self.flags: deque[bool] = deque(maxlen=config.horizon)
        self.ema_at_best = math.nan

    def observe(
        self, *, flagged: bool, rise: float, losses: deque[float], ema: float, val_loss: float, best_val_loss: float
    ) -> Transition | None:
        """Process one step. Returns the transition if the regime changes, else None.

        `rise` is the smoothed loss `ema` minus its lowest value; `losses` are those of the medium horizon.
        """
        self.flags.append(flagged)
        raw, reason = self._raw(rise, losses, ema, val_loss, best_val_loss)
        if raw == self.regime:
            self.candidate, self.held = raw, 0
            return None
        self.held = self.held + 1 if raw == self.candidate else 1
        self.candidate = raw
        if self.held < self.config.patience:
            return None
        before, self.regime, self.held = self.regime, raw, 0
        return Transition(before, raw, reason)

    def evaluated(self, ema: float, *, best: bool) -> None:
        """Process an evaluation; `best` says whether its loss is the lowest so far."""
        if best:
            self.ema_at_best = ema

    def _raw(
        self, rise: float, losses: deque[float], ema: float, val_loss: float, best_val_loss: float
    ) -> tuple[Regime, str]:
        config, count = self.config, sum(self.flags)
        if count >= _FLAGS:
            return "unstable", f"{count} of the last {len(self.flags)} steps were flagged"
        if rise > config.unstable_rise:
            return "unstable", f"the smoothed loss rose {rise:.3f} above its lowest value"
        if val_loss > best_val_loss + config.overfitting_rise and ema < self.ema_at_best:
            return "overfitting", (
                f"the validation loss is {val_loss - best_val_loss:.3f} nats above its best while the training loss fell"
            )
        if len(losses) < config.medium_horizon:
            return "warming", "fewer losses than the medium horizon"
        gain = _gain(losses)
        moved = f"fell by {gain:.4f}" if gain >= 0 else f"rose by {-gain:.4f}"
        reason = f"the median loss {moved} from the first to the second half of the last {config.medium_horizon} steps"
        return ("plateau", reason) if gain < config.plateau_gain else ("stable", reason)

    def state_dict(self) -> dict[str, Any]:
        """The classifier's state, JSON-ready."""
        return {
            "regime": self.regime,
            "candidate": self.candidate,
            "held": self.held,
            "flags": list(self.flags),
            "ema_at_best": self.ema_at_best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        self.regime, self.candidate, self.held = state["regime"], state["candidate"], state["held"]
        self.flags = deque(state["flags"], maxlen=self.config.horizon)
        self.ema_at_best = state["ema_at_best"]


def _gain(losses: deque[float]) -> float:
    """The median of the older half minus that of the newer half."""
    values = list(losses)
    half = len(values) // 2
    return statistics.median(values[:half]) - statistics.median(values[half:])

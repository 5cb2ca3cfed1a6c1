"""Running statistics of a run, and the one definition of 'diverged'."""

import math
from collections import deque
from typing import Any

from trimtab.regimes.state import RegimeState


class Monitor:
    """Keeps the running statistics that `RegimeState` shows; non-finite values are flagged and kept out of them.

    Averages are exponential with the span `horizon` (weight 2 / (horizon + 1) on the newest value) and begin at the first
    finite value; the volatility is the sample standard deviation of the last `horizon` finite losses.
    """

    _REMEMBERED = ("loss_ema", "grad_norm_ema", "lowest_ema", "largest_rise", "largest_grad_norm", "skipped_steps")

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.loss_ema = math.nan
        self.grad_norm_ema = math.nan
        self.recent: deque[float] = deque(maxlen=horizon)
        self.lowest_ema = math.inf
        self.largest_rise = 0.0
        self.largest_grad_norm = 0.0
        self.skipped_steps = 0

    def observe(
        self,
        step: int,
        train_loss: float,
        grad_norm: float,
        param_update_norm: float,
        activation_stats: dict[str, dict[str, float]],
    ) -> RegimeState:
        """Take in one step and return what is known of the run now."""
        flags = []
        if math.isfinite(train_loss):
            self.loss_ema = self._averaged(self.loss_ema, train_loss)
            self.recent.append(train_loss)
            self.lowest_ema = min(self.lowest_ema, self.loss_ema)
            self.largest_rise = max(self.largest_rise, self.loss_ema - self.lowest_ema)
        else:
            flags.append("nonfinite_loss")
        if math.isfinite(grad_norm):
            self.grad_norm_ema = self._averaged(self.grad_norm_ema, grad_norm)
            self.largest_grad_norm = max(self.largest_grad_norm, grad_norm)
        else:
            flags.append("nonfinite_gradient")
        return RegimeState(
            step=step,
            train_loss=train_loss,
            loss_ema=self.loss_ema,
            loss_volatility=_deviation(self.recent),
            grad_norm=grad_norm,
            grad_norm_ema=self.grad_norm_ema,
            param_update_norm=param_update_norm,
            activation_stats=activation_stats,
            anomaly_flags=tuple(flags),
        )

    def _averaged(self, average: float, value: float) -> float:
        return value if math.isnan(average) else average + (value - average) * (2 / (self.horizon + 1))

    def stability(self) -> dict[str, float]:
        """How calm the run was.

        `skipped_steps`; `largest_loss_rise` of the smoothed loss above its lowest value so far (nats); `largest_grad_norm`;
        `loss_volatility`, the loss's standard deviation over the last horizon (NaN below two finite losses).
        """
        return {
            "skipped_steps": self.skipped_steps,
            "largest_loss_rise": self.largest_rise,
            "largest_grad_norm": self.largest_grad_norm,
            "loss_volatility": _deviation(self.recent),
        }

    def state_dict(self) -> dict[str, Any]:
        """The monitor's memory, plain numbers (NaN and infinity among them)."""
        return {name: getattr(self, name) for name in self._REMEMBERED} | {"recent": list(self.recent)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the memory to what `state_dict` gave."""
        for name in self._REMEMBERED:
            setattr(self, name, state[name])
        self.recent = deque(state["recent"], maxlen=self.horizon)


class Divergence:
    """Judges whether a run has diverged.

    It has when, for `limit` steps in a row, the update had to be skipped because something was not finite, or the
    smoothed loss stayed above the untrained model's (the loss of the first finite step). Any better step starts the count
    anew. A step that was skipped by decision is no such step.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.untrained_loss: float | None = None
        self.skipped = 0
        self.above = 0

    def observe(self, state: RegimeState, *, skipped: bool) -> str | None:
        """Take in one step; returns the reason once the run has diverged, else None.

        `skipped`: the update was left out because something was not finite.
        """
        if self.untrained_loss is None and math.isfinite(state.train_loss):
            self.untrained_loss = state.train_loss
        self.skipped = self.skipped + 1 if skipped else 0
        above = self.untrained_loss is not None and state.loss_ema > self.untrained_loss
        self.above = self.above + 1 if above else 0
        if self.skipped >= self.limit:
            return f"a non-finite loss, gradient or update was skipped for {self.skipped} steps in a row"
        if self.above >= self.limit:
            return (
                f"the smoothed loss ({state.loss_ema:.4f}) stayed above the untrained model's "
                f"({self.untrained_loss:.4f}) for {self.above} steps in a row"
            )
        return None

    def state_dict(self) -> dict[str, Any]:
        """The judge's memory, JSON-ready."""
        return {"untrained_loss": self.untrained_loss, "skipped": self.skipped, "above": self.above}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the memory to what `state_dict` gave."""
        self.untrained_loss, self.skipped, self.above = state["untrained_loss"], state["skipped"], state["above"]


def _deviation(values: deque[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = math.fsum(values) / len(values)
    # hypot, because the square of a huge but finite loss would overflow.
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)

"""Running statistics of a run."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from trimtab.config import MonitorConfig
from trimtab.regimes.classifier import RegimeClassifier, Transition
from trimtab.regimes.robust import RobustWindow
from trimtab.regimes.state import RegimeState, UpdateSize


class Monitor:
    """Computes the running statistics in `RegimeState`, and names the regime.

    Averages are exponential with the span `horizon` (weight 2 / (horizon + 1) on the newest value) and start at the first finite
    value. The volatilities are sample standard deviations of the last `horizon` and `medium_horizon` finite losses. Z-scores and
    flags are robust and leave out flagged values. Values that are not finite enter no statistic.
    """

    _REMEMBERED = (
        "loss_ema",
        "grad_norm_ema",
        "lowest_ema",
        "largest_rise",
        "largest_grad_norm",
        "skipped_steps",
        "flagged_steps",
        "unstable_steps",
        "val_loss",
        "best_val_loss",
        "evaluation_is_new",
    )

    def __init__(self, config: MonitorConfig | None = None) -> None:
        self.config = config = config or MonitorConfig()
        self.loss_ema = math.nan
        self.grad_norm_ema = math.nan
        self.recent: deque[float] = deque(maxlen=config.medium_horizon)
        self.over: deque[bool] = deque(maxlen=config.horizon)
        self.losses = RobustWindow(config.robust_window, config.flag_z)
        self.grad_norms = RobustWindow(config.robust_window, config.flag_z)
        self.classifier = RegimeClassifier(config)
        self.update = UpdateSize()
        self.layers_are_new = False
        self.lowest_ema = math.inf
        self.largest_rise = 0.0
        self.largest_grad_norm = 0.0
        self.skipped_steps = self.flagged_steps = self.unstable_steps = 0
        self.val_loss = self.best_val_loss = math.nan
        self.evaluation_is_new = False
        self.transition: Transition | None = None

    def observe(
        self, step: int, train_loss: float, grad_norm: float, activation_stats: dict[str, dict[str, float]]
    ) -> RegimeState:
        """Process one step. Returns the new state; `transition` is set if the regime changed."""
        flags = self._take_loss(train_loss) + self._take_norm(grad_norm)
        loss_z, loss_flagged = self.losses.observe(train_loss)
        norm_z, norm_flagged = self.grad_norms.observe(grad_norm)
        if loss_flagged and "nonfinite_loss" not in flags:
            flags.append("loss_spike")
        if norm_flagged and "nonfinite_gradient" not in flags:
            flags.append("gradient_spike")
        self.flagged_steps += bool(flags)
        self.transition = self.classifier.observe(
            flagged=bool(flags),
            rise=self.loss_ema - self.lowest_ema,
            losses=self.recent,
            ema=self.loss_ema,
            val_loss=self.val_loss,
            best_val_loss=self.best_val_loss,
        )
        self.unstable_steps += self.classifier.regime == "unstable"
        return RegimeState(
            step=step,
            train_loss=train_loss,
            loss_ema=self.loss_ema,
            loss_volatility=_deviation(list(self.recent)[-self.config.horizon :]),
            loss_volatility_medium=_deviation(self.recent),
            loss_z=loss_z,
            grad_norm=grad_norm,
            grad_norm_ema=self.grad_norm_ema,
            grad_norm_z=norm_z,
            grad_share_over=sum(self.over) / len(self.over) if self.over else 0.0,
            param_update_norm=self.update.norm,
            update_ratio=self.update.ratio,
            layer_update_ratios=self.update.layers,
            activation_stats=activation_stats,
            anomaly_flags=tuple(flags),
            val_loss=self.val_loss,
            best_val_loss=self.best_val_loss,
            regime=self.classifier.regime,
        )

    def _take_loss(self, loss: float) -> list[str]:
        if not math.isfinite(loss):
            return ["nonfinite_loss"]
        self.loss_ema = self._averaged(self.loss_ema, loss)
        self.recent.append(loss)
        self.lowest_ema = min(self.lowest_ema, self.loss_ema)
        self.largest_rise = max(self.largest_rise, self.loss_ema - self.lowest_ema)
        return []

    def _take_norm(self, norm: float) -> list[str]:
        self.over.append(not norm <= self.config.grad_norm_threshold)
        if not math.isfinite(norm):
            return ["nonfinite_gradient"]
        self.grad_norm_ema = self._averaged(self.grad_norm_ema, norm)
        self.largest_grad_norm = max(self.largest_grad_norm, norm)
        return []

    def _averaged(self, average: float, value: float) -> float:
        return value if math.isnan(average) else average + (value - average) * (2 / (self.config.horizon + 1))

    def updated(self, update: UpdateSize) -> None:
        """Process the size of the step's update; a skipped update has norm 0."""
        self.layers_are_new = bool(update.layers)
        self.update = UpdateSize(update.norm, update.ratio, update.layers or self.update.layers)

    def evaluated(self, val_loss: float) -> None:
        """Process an evaluation; the next state has it."""
        if not math.isfinite(val_loss):
            return
        best = not val_loss >= self.best_val_loss  # true for the first one, whose predecessor is NaN
        self.val_loss, self.evaluation_is_new = val_loss, True
        if best:
            self.best_val_loss = val_loss
        self.classifier.evaluated(self.loss_ema, best=best)

    def evaluations(self) -> dict[str, float]:
        """The results of evaluations of the current weights, for `rewound`."""
        return {
            "val_loss": self.val_loss,
            "best_val_loss": self.best_val_loss,
            "ema_at_best": self.classifier.ema_at_best,
        }

    def rewound(self, evaluations: dict[str, float]) -> None:
        """Restore the results of evaluations after a rewind; all other memory continues.

        Compared with the best loss of the abandoned passage, the restored weights would count as overfitting.
        """
        self.val_loss, self.best_val_loss = evaluations["val_loss"], evaluations["best_val_loss"]
        self.classifier.ema_at_best = evaluations["ema_at_best"]
        self.evaluation_is_new = True  # so that the next row has it, for `observations`

    def restart(self) -> None:
        """Start the statistics of loss and gradient again, because from now on they are those of another loss."""
        self.loss_ema = self.grad_norm_ema = math.nan
        self.lowest_ema, self.largest_rise, self.largest_grad_norm = math.inf, 0.0, 0.0
        self.recent.clear()
        self.over.clear()
        self.losses = RobustWindow(self.config.robust_window, self.config.flag_z)
        self.grad_norms = RobustWindow(self.config.robust_window, self.config.flag_z)
        self.classifier.ema_at_best = math.nan

    def columns(self, state: RegimeState) -> dict[str, Any]:
        """The columns of a row of `steps.jsonl`, from which `observations` reads the state back."""
        row: dict[str, Any] = {name: getattr(state, name) for name in RegimeState.COLUMNS}
        row |= {"param_update_norm": self.update.norm, "update_ratio": self.update.ratio}
        if self.layers_are_new:
            row["layer_update_ratios"] = self.update.layers
        if state.anomaly_flags:
            row["anomaly_flags"] = list(state.anomaly_flags)
        if self.evaluation_is_new:
            row |= {"val_loss": self.val_loss, "best_val_loss": self.best_val_loss}
            self.evaluation_is_new = False
        return row

    def stability(self) -> dict[str, float]:
        """How stable the run was.

        `skipped_steps`, `flagged_steps` and `unstable_steps` (steps in that regime); `largest_loss_rise` of the smoothed
        loss above its lowest value so far; `largest_grad_norm`; `loss_volatility`, the loss's standard deviation
        over the last horizon (NaN below two finite losses).
        """
        return {
            "skipped_steps": self.skipped_steps,
            "flagged_steps": self.flagged_steps,
            "unstable_steps": self.unstable_steps,
            "largest_loss_rise": self.largest_rise,
            "largest_grad_norm": self.largest_grad_norm,
            "loss_volatility": _deviation(list(self.recent)[-self.config.horizon :]),
        }

    def state_dict(self) -> dict[str, Any]:
        """The monitor's state, plain numbers (NaN and infinity among them)."""
        return {name: getattr(self, name) for name in self._REMEMBERED} | {
            "recent": list(self.recent),
            "over": list(self.over),
            "losses": self.losses.state_dict(),
            "grad_norms": self.grad_norms.state_dict(),
            "classifier": self.classifier.state_dict(),
            "update": [self.update.norm, self.update.ratio, self.update.layers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        for name in self._REMEMBERED:
            setattr(self, name, state[name])
        self.recent = deque(state["recent"], maxlen=self.config.medium_horizon)
        self.over = deque(state["over"], maxlen=self.config.horizon)
        self.losses.load_state_dict(state["losses"])
        self.grad_norms.load_state_dict(state["grad_norms"])
        self.classifier.load_state_dict(state["classifier"])
        self.update = UpdateSize(*state["update"])


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = math.fsum(values) / len(values)
    # hypot, because the square of a huge but finite loss would overflow.
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)

"""When a run has diverged during training. The trainer also ends a run as diverged if its last validation loss is not finite."""

import math
from typing import Any

from trimtab.regimes.state import RegimeState


class Divergence:
    """Decides during training whether a run has diverged.

    A run has diverged when one of two conditions holds for `limit` steps in a row: the update was skipped because something was
    not finite, or the smoothed training loss was above `baseline`. A step that a controller skipped does not count.

    `baseline` is what the untrained model scores by the loss that is trained on, whatever that loss is and whatever its unit:
    the first finite training loss of a step with targets, which is computed before any update. None until there is one.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.baseline: float | None = None
        self.skipped = 0
        self.above = 0

    def observe(self, state: RegimeState, *, skipped: bool, measured: bool = True) -> str | None:
        """Count one step. Returns the reason once the run has diverged, else None.

        `skipped` says whether the update was skipped because something was not finite, `measured` whether the step had anything
        to compute its loss on (the loss of a step without targets is 0).
        """
        if self.baseline is None and measured and math.isfinite(state.train_loss):
            self.baseline = state.train_loss
        self.skipped = self.skipped + 1 if skipped else 0
        above = self.baseline is not None and state.loss_ema > self.baseline
        self.above = self.above + 1 if above else 0
        if self.skipped >= self.limit:
            return f"a non-finite loss, gradient or update was skipped for {self.skipped} steps in a row"
        if self.above >= self.limit:
            return (
                f"the smoothed loss ({state.loss_ema:.4f}) stayed above the untrained model's "
                f"({self.baseline:.4f}) for {self.above} steps in a row"
            )
        return None

    def restart(self, baseline: float | None) -> None:
        """Begin again under another loss, whose value of the untrained model is `baseline`."""
        self.baseline, self.skipped, self.above = baseline, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The baseline and both counts, JSON-ready."""
        return {"baseline": self.baseline, "skipped": self.skipped, "above": self.above}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        self.baseline, self.skipped, self.above = state["baseline"], state["skipped"], state["above"]

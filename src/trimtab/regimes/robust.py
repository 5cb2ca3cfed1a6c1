"""Outlier detection in a series, against recent values that were not outliers themselves."""

import math
import statistics
from collections import deque
from collections.abc import Sequence
from typing import Any

SIGMA = 1.4826
"""The median absolute deviation of a normal sample times this estimates its standard deviation (Hampel 1974)."""


def median_and_sigma(values: Sequence[float]) -> tuple[float, float]:
    """Median, and 1.4826 times the median absolute deviation; (nan, nan) of nothing."""
    if not values:
        return math.nan, math.nan
    middle = statistics.median(values)
    return middle, SIGMA * statistics.median(abs(value - middle) for value in values)


class RobustWindow:
    """The last `size` finite, unflagged values of a series, and the robust z-score of a new one against them.

    A value is flagged when its z-score exceeds `threshold` (so only high values are) or when it is not finite. Flagged values do
    not enter the window, so that one spike does not hide the next. The scale is at least `floor` times the median's absolute
    value, because otherwise every small change in a nearly constant series would be a spike. When half a window of values (at
    least 8) in a row, not counting non-finite ones, were flagged, the level has changed, and the window starts again from these
    values.
    """

    def __init__(self, size: int, threshold: float, *, floor: float = 0.005) -> None:
        self.size, self.threshold, self.floor = size, threshold, floor
        self.values: deque[float] = deque(maxlen=size)
        self.refused: list[float] = []

    @property
    def ready(self) -> bool:
        """Whether there are enough values to judge: a quarter of the window, and at least 8."""
        return len(self.values) >= max(8, self.size // 4)

    def bound(self, z: float | None = None) -> float:
        """The value whose z-score is `z` (by default the threshold); infinite until there are enough values."""
        if not self.ready:
            return math.inf
        middle, sigma = self._scale()
        return middle + (self.threshold if z is None else z) * sigma

    def _scale(self) -> tuple[float, float]:
        middle, sigma = median_and_sigma(self.values)
        return middle, max(sigma, self.floor * abs(middle), 1e-12)

    def observe(self, value: float) -> tuple[float, bool]:
        """Process a value. Returns its z-score against the window before it (0 while not ready) and whether it is flagged."""
        if not math.isfinite(value):
            return (value if value == math.inf else math.nan), True
        if not self.ready:
            self.values.append(value)
            return 0.0, False
        middle, sigma = self._scale()
        z = (value - middle) / sigma
        if z <= self.threshold:
            self.values.append(value)
            self.refused.clear()
            return z, False
        self.refused.append(value)
        if len(self.refused) >= max(8, self.size // 2):
            self.values.clear()
            self.values.extend(self.refused)
            self.refused.clear()
        return z, True

    def state_dict(self) -> dict[str, Any]:
        """The window's state, as plain numbers."""
        return {"values": list(self.values), "refused": list(self.refused)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        self.values = deque(state["values"], maxlen=self.size)
        self.refused = list(state["refused"])

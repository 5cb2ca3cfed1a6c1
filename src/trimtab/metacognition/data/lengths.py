"""How long an example may be: the limit, and the probe that raises it."""

from collections.abc import Callable
from typing import Literal

STEP = 64
"""Tokens by which the limit grows, or a multiple of it."""

PROBED = 64
"""Samples of a probe."""

FIRST = 256
"""The position of the first probe; each further one is at twice the position of the one before."""

TooLong = Literal["error", "cut", "leave_out"]


class LengthLimit:
    """The most tokens of the training example at a position, not counting the last one, which is only predicted.

    It is `start`, until a probe finds longer examples. The probes are at the positions 256, 512, 1024, ...: each measures the 64
    samples from there on, and raises the limit to their longest, in steps of 64 tokens, up to the context. Nothing lowers it. So
    the limit is a function of the seed and the position, and a run that continues anywhere measures only a few samples.

    `measure(seed, position)` gives the tokens of the sample at a position, not counting the last one.
    """

    def __init__(self, start: int, context: int, measure: Callable[[int, int], int]) -> None:
        self.start, self.context, self._measure = min(start, context), context, measure
        self._longest: dict[tuple[int, int], int] = {}

    def at(self, seed: int, position: int) -> int:
        """The limit at a position."""
        limit, probe = self.start, FIRST
        while probe <= position and limit < self.context:
            longest = self._probed(seed, probe)
            if longest > limit:
                limit = min(self.context, self.start + -(-(longest - self.start) // STEP) * STEP)
            probe *= 2
        return limit

    def _probed(self, seed: int, probe: int) -> int:
        if (seed, probe) not in self._longest:
            self._longest[seed, probe] = max(self._measure(seed, probe + number) for number in range(PROBED))
        return self._longest[seed, probe]

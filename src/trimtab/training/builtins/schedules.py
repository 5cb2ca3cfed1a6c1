"""Learning-rate schedules: a factor as a pure function of the step (1 is the first update, `steps` the last)."""

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

Schedule = Callable[[int], float]
WarmUp = Annotated[int, Field(ge=0, description="steps of linear warm-up from 0 to the full learning rate")]
Final = Annotated[float, Field(ge=0, le=1, description="factor at the last step")]


def constant(*, warmup: WarmUp = 0) -> Schedule:
    """Factor 1, after an optional warm-up."""
    return lambda step: _warmed(step, warmup)


def cosine(*, steps: int, warmup: WarmUp = 100, final: Final = 0.1) -> Schedule:
    """Warm-up, then half a cosine from 1 to `final` (Loshchilov & Hutter 2017, SGDR, without restarts)."""

    def factor(step: int) -> float:
        progress = _progress(step, warmup, steps)
        return _warmed(step, warmup) * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))

    return factor


def linear(*, steps: int, warmup: WarmUp = 100, final: Final = 0.0) -> Schedule:
    """Warm-up, then a straight line from 1 to `final`."""

    def factor(step: int) -> float:
        return _warmed(step, warmup) * (1 - (1 - final) * _progress(step, warmup, steps))

    return factor


def wsd(
    *,
    steps: int,
    warmup: WarmUp = 100,
    decay: Annotated[float, Field(gt=0, le=1, description="share of all steps in the final linear decay")] = 0.2,
    final: Final = 0.0,
) -> Schedule:
    """Warm-up, stable, decay (Hu et al. 2024, MiniCPM): factor 1 until the last `decay` share, then linear to `final`."""
    start = steps - max(1, round(decay * steps))

    def factor(step: int) -> float:
        return _warmed(step, warmup) * (1 - (1 - final) * _progress(step, start, steps))

    return factor


def _warmed(step: int, warmup: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0


def _progress(step: int, start: int, end: int) -> float:
    return min(1.0, max(0.0, (step - start) / max(1, end - start)))

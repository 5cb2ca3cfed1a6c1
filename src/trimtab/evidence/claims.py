"""A claim: the metric, direction and margin that were stated before the run."""

import math
from dataclasses import dataclass
from typing import get_args

from trimtab.boundary import printable, shortened
from trimtab.errors import ConfigError
from trimtab.evidence.cells import plain_number
from trimtab.evidence.intervals import Scale

_EXAMPLE = "'val_loss lower 0.02': a metric, 'lower' or 'higher' for the better direction, the smallest difference that matters"


SMALLEST_ALPHA = 1e-9
"""Below it, rounding makes the quantiles of intervals useless."""

LEVELS = f"{SMALLEST_ALPHA:g} or more and below 0.5"


def is_level(alpha: float) -> bool:
    """Whether `alpha` can be the chance of a false claim."""
    return SMALLEST_ALPHA <= alpha < 0.5


@dataclass(frozen=True)
class Claim:
    """One primary metric, its better direction and `margin`, the smallest difference that matters, in the metric's units.

    `scale` decides what is averaged: 'plain' differences; 'trimmed', without the most extreme fifth at either end; 'log',
    differences of logarithms (the margin is then a log ratio: 0.02 is about two per cent). `alpha` is the chance of a
    false claim, shared by all claims of an experiment. Raises ConfigError for a margin that is not above 0 or an alpha
    that is not in [1e-9, 0.5).
    """

    metric: str
    higher_is_better: bool
    margin: float
    alpha: float = 0.05
    scale: Scale = "plain"

    def __post_init__(self) -> None:
        if not self.metric:
            raise ConfigError(f"A claim needs a metric. Write {_EXAMPLE}.")
        if not (math.isfinite(self.margin) and self.margin > 0):
            raise ConfigError(
                f"The claim on '{self.metric}': the margin should be a number above 0, the smallest difference that matters; "
                f"found {self.margin}."
            )
        if not is_level(self.alpha):
            raise ConfigError(f"The claim on '{self.metric}': alpha should be {LEVELS}; found {self.alpha}.")
        if self.scale not in get_args(Scale):
            raise ConfigError(
                f"The claim on '{self.metric}': the scale is one of {', '.join(get_args(Scale))}; found '{self.scale}'."
            )

    @property
    def text(self) -> str:
        """The claim in one line, as `parse_claim` reads it."""
        words = [self.metric, "higher" if self.higher_is_better else "lower", repr(float(self.margin))]
        return " ".join(words if self.scale == "plain" else [*words, self.scale])


def parse_claim(text: str, alpha: float = 0.05) -> Claim:
    """A claim from `METRIC lower|higher MARGIN [trimmed|log]`. Raises ConfigError that says what is wrong."""
    words, shown = text.split(), shortened(printable(text), 200)
    scale: Scale = "plain"
    if len(words) > 3 and words[-1] in get_args(Scale):
        scale = words.pop()  # type: ignore[assignment]
    if len(words) < 3 or words[-2] not in ("lower", "higher"):
        raise ConfigError(f"The claim '{shown}' cannot be read. Write {_EXAMPLE}; 'trimmed' or 'log' may follow.")
    *metric, direction, size = words
    if (margin := plain_number(size)) is None:
        raise ConfigError(
            f"The claim '{shown}': the margin '{shortened(printable(size), 60)}' is not a number. Write {_EXAMPLE}."
        )
    return Claim(" ".join(metric), direction == "higher", margin, alpha, scale)

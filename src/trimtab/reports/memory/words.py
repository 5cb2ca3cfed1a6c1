"""Shares, intervals and texts of the records as text for the report."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from trimtab.evidence import t_interval, wilson_interval
from trimtab.reports.blocks import DASH, Section, Text, figure

_T = TypeVar("_T")


def percent(share: float | None) -> str:
    """`95%`, to three significant digits; a dash for none."""
    return DASH if share is None or math.isnan(share) else f"{100 * share:.3g}%"


def share_of(hits: int, trials: int) -> str:
    """`95% (95 of 100)`; a dash for no trials."""
    return f"{percent(hits / trials)} ({hits:,} of {trials:,})" if trials else DASH


def wilson(hits: float, trials: int) -> str:
    """The 95% interval of a share; a dash for no trials."""
    return span(*wilson_interval(hits, trials), shares=True) if trials else DASH


def span(low: float | None, high: float | None, *, shares: bool = False) -> str:
    """`1.2 to 3.4`; a dash where an end is not known."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{percent(low)} to {percent(high)}" if shares else f"{figure(low, 3)} to {figure(high, 3)}"


def finite(values: Iterable[float | None]) -> list[float]:
    """The finite values."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the finite values; None without any."""
    known = finite(values)
    return float(np.mean(known)) if known else None


def mean_span(values: Iterable[float | None]) -> str:
    """The 95% t interval of the mean of the finite values; a dash for fewer than two."""
    known = finite(values)
    if len(known) < 2:
        return DASH
    interval = t_interval(known)
    return span(interval.low, interval.high)


def quantile(values: Sequence[float], level: float) -> float | None:
    """A quantile that is one of the values, never between two of them; None without values."""
    return float(np.quantile(values, level, method="inverted_cdf")) if len(values) else None


def clipped(text: str, longest: int = 240) -> str:
    """A text for a table cell: line ends as ⏎, cut after `longest` characters."""
    if not text.strip():
        return "(nothing)"
    shown = text.replace("\r\n", "\n").replace("\n", " ⏎ ")
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def spread(rows: Sequence[_T], count: int) -> list[_T]:
    """At most `count` of the rows, evenly spaced, the first included."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [rows[place] for place in dict.fromkeys(places.tolist())]


def absent(key: str, title: str, why: str) -> Section:
    """A section that only says what is missing and why."""
    return Section(key, title, (Text(why, "missing"),))

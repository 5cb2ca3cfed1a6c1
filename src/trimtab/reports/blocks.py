"""The parts of a report, independent of its format: sections of texts, lists, judgements, tables, plots and code."""

import math
from dataclasses import dataclass
from typing import Literal

_WRITTEN_OUT = 1e15  # larger numbers are written with an exponent

DASH = "–"
"""Shown in a table where there is no number."""


@dataclass(frozen=True)
class Text:
    """A paragraph; a `missing` one says what is not in the records and why, a `warning` what may mislead the reader."""

    text: str
    kind: Literal["plain", "missing", "warning"] = "plain"


@dataclass(frozen=True)
class Listing:
    """Names, each with a text."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Judgement:
    """A verdict in one word and one sentence; `about` names what it is about and may be empty."""

    about: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Judgements:
    """Judgements, one below the other."""

    judgements: tuple[Judgement, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts; the columns in `words` hold words, the others numbers. A `folded` table opens on a click."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    folded: bool = False


@dataclass(frozen=True)
class Plot:
    """A drawn plot: `name` names its file and begins its ids; `description` says what it shows, with the key numbers."""

    name: str
    caption: str
    description: str
    svg: str


@dataclass(frozen=True)
class Plots:
    """Plots, side by side where there is room."""

    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Code:
    """Text to copy: a command, or the content of a file in another language."""

    text: str
    language: str = "sh"


Block = Text | Listing | Judgements | Table | Plots | Code


@dataclass(frozen=True)
class Section:
    """A section of the report; `key` is its anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def figure(value: float | None, digits: int = 4) -> str:
    """A number with up to `digits` significant digits; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:,.0f}" if 10**digits <= abs(value) < _WRITTEN_OUT else f"{value:.{digits}g}"


def signed(value: float | None) -> str:
    """A difference with its sign; an exact zero has no sign."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:+.4g}" if value else "0"


def interval(low: float, high: float) -> str:
    """An interval; `none` where its ends could not be estimated."""
    return "none" if math.isinf(low) or math.isnan(low) else f"{signed(low)} to {signed(high)}"

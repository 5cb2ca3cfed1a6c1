"""What a report is made of, whatever it is printed as: sections of texts, lists, judgements, tables, plots and code."""

import math
from dataclasses import dataclass
from typing import Literal

_WRITTEN_OUT = 1e15  # from here on every digit of a number would be a digit too many

DASH = "–"
"""Stands in a table where there is no number."""


@dataclass(frozen=True)
class Text:
    """A paragraph; a `missing` one says what a reader looks for in vain, and why; a `warning` what to beware of."""

    text: str
    kind: Literal["plain", "missing", "warning"] = "plain"


@dataclass(frozen=True)
class Listing:
    """Names, each with what there is to say of it."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Judgement:
    """One word and one sentence, on the thing named `about` (which may be empty)."""

    about: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Judgements:
    """Judgements one below the other, each under its word."""

    judgements: tuple[Judgement, ...]


@dataclass(frozen=True)
class Table:
    """A table of ready texts; the columns in `words` are text, the others numbers. A `folded` one opens on demand."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    folded: bool = False


@dataclass(frozen=True)
class Plot:
    """A drawn figure: `name` is the file's and the prefix of its ids, `description` says what it shows, with its key number."""

    name: str
    caption: str
    description: str
    svg: str


@dataclass(frozen=True)
class Plots:
    """Plots that stand side by side where there is room."""

    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Code:
    """Text to copy: a command, or the content of a file in another language."""

    text: str
    language: str = "sh"


Block = Text | Listing | Judgements | Table | Plots | Code


@dataclass(frozen=True)
class Section:
    """A part of the report; `key` is its anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def figure(value: float | None, digits: int = 4) -> str:
    """A number in up to `digits` significant digits; a dash for none and for NaN."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:,.0f}" if 10**digits <= abs(value) < _WRITTEN_OUT else f"{value:.{digits}g}"


def signed(value: float | None) -> str:
    """A difference with its sign; an exact zero has none."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:+.4g}" if value else "0"


def interval(low: float, high: float) -> str:
    """An interval; in words where no spread could be estimated."""
    return "none" if math.isinf(low) or math.isnan(low) else f"{signed(low)} to {signed(high)}"

"""Columns of numbers in bounded memory: per bucket of rows the smallest and the largest value, and the last rows one by one."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import inf, isnan, nan
from typing import Any

from trimtab.records.values import NON_FINITE as _NON_FINITE

BUCKETS = 2048
"""Buckets of a column; when there are more, neighbours are merged and a bucket has twice as many rows."""

RECENT = 1024
"""Rows that are kept one by one, at least, where a column has more than `BUCKETS` rows."""

_INFINITY = inf
_NONE = nan


class Column:
    """One column: `low` and `high` of each bucket, ±inf where the bucket has no value, and the latest values."""

    __slots__ = ("broken", "high", "last", "low", "recent", "waiting")

    def __init__(self) -> None:
        self.low, self.high = array("d"), array("d")
        self.waiting: list[float] = []
        """Values of rows that fill no bucket yet."""
        self.recent: list[float] = []
        self.last: float | None = None
        """The last value, also where it is not finite."""
        self.broken = 0
        """Values that are not finite."""


class Table:
    """Rows of numbers, from nested records: `aux.model.gate_norm` is a column. Values that are not finite are gaps.

    A single extreme value stays visible however many rows there are, because each bucket keeps its extremes.
    """

    def __init__(self, buckets: int = BUCKETS) -> None:
        self.rows = 0
        self.size = 1
        """Rows per bucket."""
        self.columns: dict[str, Column] = {}
        self.version = 0
        """Rises whenever the content changes."""
        self._most = buckets + buckets % 2
        self._folded = 0
        """Rows in buckets."""
        self._kept = 0
        """Rows of them that are also kept one by one; the same for every column."""

    def __contains__(self, key: str) -> bool:
        return key in self.columns

    def clear(self) -> None:
        """Forget every row."""
        self.rows, self.size, self._folded, self._kept = 0, 1, 0, 0
        self.columns = {}
        self.version += 1

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows."""
        for row in rows:
            self._add(row, "")
            self.rows += 1
        for column in self.columns.values():
            _fill(column, self.rows - self._folded)
        self._fold()
        self.version += 1

    def last(self, key: str) -> float | None:
        """The last value of a column; None where there is none."""
        column = self.columns.get(key)
        return None if column is None else column.last

    def _add(self, row: Mapping[str, Any], prefix: str) -> None:
        place = self.rows - self._folded
        for key, found in row.items():
            value, kind = found, type(found)
            if kind is dict:
                self._add(value, f"{prefix}{key}.")
                continue
            if kind is str:
                if value not in _NON_FINITE:
                    continue
                value = _NON_FINITE[value]
            elif kind is list:
                numbers = {str(index): item for index, item in enumerate(value[:64]) if type(item) in (int, float)}
                self._add(numbers, f"{prefix}{key}.")
                continue
            elif kind is not float and kind is not int:
                continue
            name = prefix + key if prefix else key
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = self._new_column()
            waiting = column.waiting
            if len(waiting) < place:
                _fill(column, place)
            elif len(waiting) > place:
                continue  # the name occurs twice: 'a.b' and {'a': {'b': …}}
            number = _as_float(value)
            column.last = number
            if number - number != 0.0:  # neither nan nor an infinity
                column.broken += 1
                number = _NONE
            waiting.append(number)

    def _new_column(self) -> Column:
        column = Column()
        count = self._folded // self.size
        column.low.extend([_INFINITY] * count)
        column.high.extend([-_INFINITY] * count)
        column.recent = [_NONE] * self._kept
        return column

    def _fold(self) -> None:
        """Turn the waiting values into buckets, and merge buckets where there are too many."""
        waiting = self.rows - self._folded
        while waiting >= self.size:
            room = self._most - self._folded // self.size
            if room <= 0:
                self._merge()
                continue
            count = min(waiting // self.size, room)
            for column in self.columns.values():
                _close(column, count, self.size)
            self._folded += count * self.size
            self._kept += count * self.size
            waiting -= count * self.size
            keep = RECENT + self.size
            if self._kept > 2 * keep:
                for column in self.columns.values():
                    del column.recent[:-keep]
                self._kept = keep

    def _merge(self) -> None:
        for column in self.columns.values():
            low, high = column.low, column.high
            column.low = array("d", map(min, low[::2], low[1::2]))
            column.high = array("d", map(max, high[::2], high[1::2]))
        self.size *= 2

    def spans(self, key: str) -> tuple[list[float], list[float]]:
        """The lows and highs of a column: those of the buckets, then the latest rows; inf and -inf where there is no value."""
        column = self.columns.get(key)
        if column is None:
            return [], []
        waiting = column.waiting
        if self.size == 1:
            low, high = column.low.tolist(), column.high.tolist()
            single = waiting
        else:
            recent = column.recent
            count = -(-(self._folded - self._kept) // self.size)
            skipped = self._folded - count * self.size
            low, high = column.low[:count].tolist(), column.high[:count].tolist()
            single = recent[len(recent) - skipped :] + waiting if skipped else waiting
        low += [_INFINITY if isnan(value) else value for value in single]
        high += [-_INFINITY if isnan(value) else value for value in single]
        return low, high

    def places(self, key: str | None = None) -> list[float]:
        """Where `spans` are on an axis: the values of the column `key`, or the numbers of the rows."""
        if key is None or key not in self.columns:
            some = next(iter(self.columns), None)
            return [] if some is None else [float(index) for index in range(len(self.spans(some)[0]))]
        low, high = self.spans(key)
        last = 0.0
        places = []
        for one, other in zip(low, high, strict=True):
            last = one if one <= other else last
            places.append(last)
        return places


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return _INFINITY


def _fill(column: Column, place: int) -> None:
    missing = place - len(column.waiting)
    if missing > 0:
        column.waiting.extend([_NONE] * missing)


def _close(column: Column, count: int, size: int) -> None:
    """Fold the first `count` times `size` waiting values into buckets."""
    waiting = column.waiting
    taken = waiting[: count * size]
    del waiting[: count * size]
    for start in range(0, len(taken), size):
        known = [value for value in taken[start : start + size] if not isnan(value)]
        column.low.append(min(known) if known else _INFINITY)
        column.high.append(max(known) if known else -_INFINITY)
    column.recent += taken


def nearest(places: list[float], value: float) -> int:
    """The index of the place nearest to a value, in places that rise."""
    index = bisect_left(places, value)
    if index and (index == len(places) or value - places[index - 1] <= places[index] - value):
        index -= 1
    return index

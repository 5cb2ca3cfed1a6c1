"""Search spaces: settings by key, as points of the unit cube."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Point = Float[np.ndarray, " keys"]
Settings = dict[str, Any]

_DIGITS = 10
"""Significant digits of a number in settings. A number that is rounded once is mapped to the cube and back unchanged."""
INACTIVE = 0.5
"""The coordinate of a key that other settings make void."""


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, on a logarithmic scale with `log`, and whole with `whole`.

    `when` names other keys and the values of theirs for which this key is used; it is left out of settings with other values.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    when: Mapping[str, Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"the bounds must be finite, but they are {self.low} and {self.high}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, but they are {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs a low above 0, but it is {self.low}")
        if self.whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ValueError(f"the bounds of whole numbers must be whole, but they are {self.low} and {self.high}")

    def value(self, u: float) -> float | int:
        """The setting at a coordinate from 0 to 1. Every whole number has an equal part of the scale."""
        start, end = self._ends()
        x = start + u * (end - start)
        x = math.exp(x) if self.log else x
        if self.whole:
            nearest = math.floor(x + 0.5)
            return int(min(max(nearest, self.low), self.high))
        return min(max(float(f"{x:.{_DIGITS}g}"), self.low), self.high)

    def coordinate(self, value: float) -> float:
        """The coordinate of a setting."""
        start, end = self._ends()
        x = math.log(value) if self.log else value
        return min(max((x - start) / (end - start), 0.0), 1.0)

    def refusal(self, value: Any) -> str | None:
        """Why a value is not of this kind; None if it is."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{value!r} is not a number"
        if not self.low <= value <= self.high:
            return f"{value} is not between {self.low} and {self.high}"
        return f"{value} is not whole" if self.whole and value != int(value) else None

    def _ends(self) -> tuple[float, float]:
        half = 0.5 if self.whole else 0.0
        start, end = self.low - half, self.high + half
        return (math.log(start), math.log(end)) if self.log else (start, end)


@dataclass(frozen=True)
class Choice:
    """One of some values, without an order. `when` is that of `Number`."""

    values: tuple[Any, ...]
    when: Mapping[str, Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("there must be at least one value to choose from")
        for index, value in enumerate(self.values):
            if any(_same(value, other) for other in self.values[:index]):
                raise ValueError(f"the value {value!r} is there twice")

    def value(self, u: float) -> Any:
        """The value in whose part of the scale a coordinate lies."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def coordinate(self, value: Any) -> float:
        """The middle of a value's part of the scale."""
        index = next(i for i, own in enumerate(self.values) if _same(own, value))
        return (index + 0.5) / len(self.values)

    def refusal(self, value: Any) -> str | None:
        """Why a value is not of this kind; None if it is."""
        return None if any(_same(own, value) for own in self.values) else f"{value!r} is none of {list(self.values)}"


Parameter = Number | Choice


class Space:
    """The keys to search over and what each may be.

    `choices` says of each coordinate whether it is a `Choice`, whose values have no order. Raises `ValueError`, with the key, for
    a space without keys or a `when` that names no choice listed before it.
    """

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        if not parameters:
            raise ValueError("a search space needs at least one key")
        self.parameters = dict(parameters)
        earlier: dict[str, Parameter] = {}
        for key, parameter in self.parameters.items():
            for parent, values in (parameter.when or {}).items():
                known = earlier.get(parent)
                if not isinstance(known, Choice):
                    raise ValueError(f"{key}: its `when` names {parent}, which is no choice listed before it")
                if not values:
                    raise ValueError(f"{key}: its `when` lists no value of {parent}")
                for value in values:
                    if (why := known.refusal(value)) is not None:
                        raise ValueError(f"{key}: its `when` names a value of {parent} that it cannot have: {why}")
            earlier[key] = parameter
        self.choices = np.array([isinstance(one, Choice) for one in self.parameters.values()])

    def __len__(self) -> int:
        return len(self.parameters)

    def settings(self, point: Point) -> Settings:
        """The settings at a point of the unit cube, without keys that other settings make void."""
        settings: Settings = {}
        for u, (key, parameter) in zip(point, self.parameters.items(), strict=True):
            if self.used(key, settings):
                settings[key] = parameter.value(float(u))
        return settings

    def point(self, settings: Mapping[str, Any]) -> Point:
        """The point of some settings; `INACTIVE` for keys that are not used.

        Raises:
            ValueError: a key is missing or unknown, or its value is not in the space.
        """
        if unknown := [key for key in settings if key not in self.parameters]:
            raise ValueError(f"{unknown[0]}: this key is not in the search space")
        point = np.full(len(self), INACTIVE)
        for index, (key, parameter) in enumerate(self.parameters.items()):
            if not self.used(key, settings):
                if key in settings:
                    raise ValueError(f"{key}: other settings make this key void, so it must be left out")
                continue
            if key not in settings:
                raise ValueError(f"{key}: this key is missing")
            if (why := parameter.refusal(settings[key])) is not None:
                raise ValueError(f"{key}: {why}")
            point[index] = parameter.coordinate(settings[key])
        return point

    def canonical(self, points: Float[np.ndarray, "points keys"]) -> Float[np.ndarray, "points keys"]:
        """The points of the settings at some points, numbers unrounded: choices in their middle, and unused keys at theirs."""
        if any(parameter.when for parameter in self.parameters.values()):
            return np.stack([Space.point(self, Space.settings(self, point)) for point in points])
        counts = np.array([len(one.values) if isinstance(one, Choice) else 1 for one in self.parameters.values()])
        middles = (np.minimum(np.floor(points * counts), counts - 1) + 0.5) / counts
        result: np.ndarray = np.where(self.choices, middles, points)
        return result

    def used(self, key: str, settings: Mapping[str, Any]) -> bool:
        """Whether a key is used with these settings of the keys before it."""
        return all(
            parent in settings and any(_same(settings[parent], value) for value in values)
            for parent, values in (self.parameters[key].when or {}).items()
        )


def _same(one: Any, other: Any) -> bool:
    """Equality in which true is not 1 and 1 is 1.0."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other

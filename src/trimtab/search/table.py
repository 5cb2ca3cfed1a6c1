"""A table of recorded runs, on which a search takes its values instead of training."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trimtab.boundary import StrictJsonError, strict_json
from trimtab.records.atomic import write_bytes
from trimtab.records.problems import problems_of
from trimtab.search.space import Choice, Number, Parameter, Point, Settings, Space

_LARGEST = 256 << 20
"""Bytes of a table when it is unpacked; more is refused."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RecordedRun(_Record):
    """The run of one setting with one seed: value and tokens at each of the table's steps.

    `diverged` is the step after which it diverged, null for a run that did not; its values after that are the untrained model's.
    """

    values: list[Finite]
    tokens: list[Annotated[int, Field(ge=0)]]
    diverged: Annotated[int, Field(ge=0)] | None = None


class RecordedSetting(_Record):
    """A setting, and its run with each seed."""

    settings: dict[str, Any]
    runs: list[RecordedRun]


class RecordedKey(_Record):
    """What a key may be, as a search's config says it."""

    low: Finite | None = None
    high: Finite | None = None
    log: bool = False
    whole: bool = False
    values: list[Any] | None = None
    when: dict[str, list[Any]] | None = None

    @property
    def parameter(self) -> Parameter:
        """The parameter. Raises `ValueError`."""
        if self.values is not None:
            return Choice(tuple(self.values), self.when)
        if self.low is None or self.high is None:
            raise ValueError("a key needs `low` and `high`, or `values`")
        return Number(self.low, self.high, self.log, self.whole, self.when)


class Table(_Record):
    """Recorded runs of a search space: `rows` of settings, each run with the same number of seeds.

    `run` is the config of the runs, `space` the keys that were varied, as a search's config has them, and `steps` the steps at
    which every run was evaluated, in order; the last is the end of the runs. `source` says how the runs were made.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    metric: str
    higher_is_better: bool
    run: dict[str, Any]
    space: dict[str, RecordedKey]
    steps: Annotated[list[Steps], Field(min_length=1)]
    source: dict[str, Any]
    rows: Annotated[list[RecordedSetting], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.steps != sorted(set(self.steps)):
            raise ValueError("the steps do not increase")
        seeds = len(self.rows[0].runs)
        if seeds < 1 or any(len(row.runs) != seeds for row in self.rows):
            raise ValueError("the rows do not have the same number of runs")
        lengths = {len(column) for row in self.rows for run in row.runs for column in (run.values, run.tokens)}
        if lengths != {len(self.steps)}:
            raise ValueError("a run does not have a value for each step")
        if any(run.tokens != sorted(run.tokens) for row in self.rows for run in row.runs):
            raise ValueError("the tokens of a run decrease")
        RecordedSpace(self)
        return self

    @property
    def seeds(self) -> int:
        """The number of runs of each setting."""
        return len(self.rows[0].runs)

    def write(self, path: Path) -> None:
        """Write the table; the same table gives the same bytes."""
        text = json.dumps(self.model_dump(mode="json"), separators=(",", ":"))
        write_bytes(path, gzip.compress(text.encode(), 9, mtime=0))


def read_table(path: Path) -> tuple[Table, str]:
    """The table in a file, and the file's SHA-256. Raises `ValueError` for a file that holds none, `OSError` without a file."""
    packed = path.read_bytes()
    try:
        unpack = zlib.decompressobj(wbits=31)
        raw = unpack.decompress(packed, _LARGEST)
        if unpack.unconsumed_tail:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MB when it is unpacked")
        if not unpack.eof:
            raise ValueError("it ends too early")
        table = Table.model_validate(strict_json(raw))
    except zlib.error as error:
        raise ValueError("it is not compressed with gzip, or damaged") from error
    except ValidationError as error:
        raise ValueError(problems_of(error)) from error
    except StrictJsonError as error:
        raise ValueError(f"it holds no JSON: {error}") from error
    return table, hashlib.sha256(packed).hexdigest()


class RecordedSpace(Space):
    """The space of a table: every point stands for the nearest recorded setting.

    Settings with other choices are never nearest where some have the same; among those, the distance is that in the unit cube.
    """

    def __init__(self, table: Table) -> None:
        super().__init__({key: given.parameter for key, given in table.space.items()})
        self.rows = [row.settings for row in table.rows]
        self.points = np.array([self.point(settings) for settings in self.rows])
        self._places = {_key(settings): place for place, settings in enumerate(self.rows)}

    def settings(self, point: Point) -> Settings:
        """The recorded setting that is nearest to a point."""
        apart = self.points - self.canonical(point[None])
        other = (np.abs(apart) > 1e-9) & self.choices
        distances = np.where(self.choices, 0.0, apart**2).sum(axis=1) + len(self) * other.sum(axis=1)
        return dict(self.rows[int(np.argmin(distances))])

    def row(self, settings: Mapping[str, Any]) -> int:
        """The row of recorded settings. Raises `ValueError` for others."""
        place = self._places.get(_key(settings))
        if place is None:
            raise ValueError("these settings are not in the table")
        return place


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)

"""Base of the tasks whose problems are rows of files; their two splits have no question in common."""

import hashlib
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.files.rows import BadRowError, LeftOutRowError, Row, json_lines
from trimtab.data.tasks.generated import is_validation
from trimtab.errors import DataError
from trimtab.random import derive_seed

OnBadRow = Annotated[
    Literal["error", "skip"],
    Field(description="whether a row that cannot become a problem is an error, or is skipped and listed in the report"),
]

ValidationPath = Annotated[
    str | None,
    Field(
        description="JSONL file of the validation problems; null splits `path` by the hashes of the questions",
        json_schema_extra=FILE_PATH,
    ),
]

Source = Callable[[], Iterable[Row]]
"""Returns the rows of a split; called once."""


def json_lines_sources(path: str, validation_path: str | None) -> tuple[Source, Source | None]:
    """Returns the training and validation sources of a task whose `path` and `validation_path` are JSONL files."""
    train = partial(json_lines, path, key="data.task.path")
    if validation_path is None:
        return train, None
    return train, partial(json_lines, validation_path, key="data.task.validation_path")


class FileTask(ABC):
    """Base of the tasks whose problems are rows. A subclass provides the sources of rows and turns a row into a problem.

    With a source for each split, training rows whose question is also in the validation source are left out. With one source, the
    hash of a question decides its split, as for generated tasks (a fifth is for validation). Validation problems are all
    different. Questions that differ only in white space and Unicode composition have the same key. Rows that are left out are
    listed in `skipped`, with their location and the reason.
    """

    name: ClassVar[str]
    metrics: tuple[str, ...] = ("exact_match",)

    def __init__(self, train: Source, validation: Source | None, on_bad_row: OnBadRow) -> None:
        self._train, self._validation, self._on_bad_row = train, validation, on_bad_row

    @abstractmethod
    def problem(self, values: Mapping[str, Any]) -> Problem:
        """Returns the problem of a row. Raises `BadRowError` if the row cannot become one."""

    @abstractmethod
    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """See `Task.score`."""

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """The parameters that determine the problems and the scores, besides the files, as JSON values."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`: the parameters and a SHA-256 of all problems. The names of files do not matter."""
        return {**self.parameters, "sha256": self._read.sha256}

    @property
    def skipped(self) -> tuple[str, ...]:
        """The rows that were left out, each with its location and the reason."""
        return self._read.skipped

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many sound rows were left out, by kind (see `LeftOutRowError`)."""
        return self._read.left_out

    def validates(self, problem: Problem) -> bool:
        """Whether a problem may validate; without its answer being known it may not."""
        del problem
        return True

    def split(self, split: Split, count: int | None, seed: int) -> list[Problem]:
        """Returns all problems of a split in the order of the rows, or `count` of them drawn with `seed`.

        With the same seed, a larger selection contains the smaller ones. Raises `DataError` for bad rows, and if the split has
        fewer problems than `count`.
        """
        pool = self._read.train if split == "train" else self._read.validation
        if count is None:
            return list(pool)
        if count > len(pool):
            key = "data.size" if split == "train" else "data.validation"
            raise DataError(
                f"`{key}` is {count:,}, but the task {self.name} has only {len(pool):,} {split} problems. Set at most that many, "
                "or null for all of them."
            )
        order = list(range(len(pool)))
        random.Random(derive_seed(seed, "task", self.name, split)).shuffle(order)
        return [pool[index] for index in order[:count]]

    @cached_property
    def _read(self) -> "_Splits":
        skipped = _Skipped([], Counter())
        train: list[Problem] = []
        validation: dict[str, Problem] = {}
        if self._validation is not None:
            for where, problem in self._problems(self._validation, skipped):
                self._add_validation(validation, where, problem, skipped)
        for where, problem in self._problems(self._train, skipped):
            if self._validation is None and is_validation(problem.question):
                self._add_validation(validation, where, problem, skipped)
            elif problem.question in validation:
                skipped.rows.append(f"{where}: its question is also in the validation split")
            else:
                train.append(problem)
        if not train or not validation:
            raise self._empty(len(train), len(validation), skipped.rows)
        digest = hashlib.sha256()
        for part in (train, list(validation.values())):
            digest.update(b"split")
            for problem in part:
                digest.update(repr(self.content(problem)).encode())
        return _Splits(train, list(validation.values()), tuple(skipped.rows), skipped.kinds, digest.hexdigest())

    def _problems(self, source: Source, skipped: "_Skipped") -> Iterator[tuple[str, Problem]]:
        for where, values in source():
            try:
                if isinstance(values, BadRowError):
                    raise values
                yield where, self.problem(values)
            except BadRowError as error:
                if self._on_bad_row == "error" and not isinstance(error, LeftOutRowError):
                    raise DataError(
                        f"{where}: {error}. Correct the row, or leave such rows out with `data.task.on_bad_row: skip`; "
                        "skipped rows are listed in the report."
                    ) from error
                skipped.rows.append(f"{where}: {error}")
                if isinstance(error, LeftOutRowError):
                    skipped.kinds[error.kind] += 1

    def content(self, problem: Problem) -> tuple[Any, ...]:
        """Everything in a problem that comes from its row; part of the SHA-256 of all problems."""
        return (
            problem.prompt,
            problem.answer,
            problem.truth,
            problem.level,
            problem.options,
            problem.option_probabilities,
            problem.accepted,
            problem.uncertainty,
            problem.noisy,
        )

    def _add_validation(
        self, validation: dict[str, Problem], where: str, problem: Problem, skipped: "_Skipped"
    ) -> None:
        if problem.question in validation:
            skipped.rows.append(f"{where}: its question is already in the validation split")
        elif not self.validates(problem):
            skipped.rows.append(f"{where}: its answer is not known, so it cannot validate")
        else:
            validation[problem.question] = problem

    def _empty(self, train: int, validation: int, skipped: list[str]) -> DataError:
        """The error for a split without problems."""
        rows = f" {len(skipped):,} rows were left out, the first: {skipped[0]}." if skipped else ""
        if self._validation is not None:
            advice = "Each of the two files must have rows whose questions the other does not have."
        else:
            advice = (
                "A fifth of the questions of a single file are used for validation; add rows, or name a separate file for "
                "validation."
            )
        return DataError(
            f"The task {self.name} has {train:,} training and {validation:,} validation problems; it needs both.{rows} {advice}"
        )


class _Splits(NamedTuple):
    """The problems of both splits, the rows left out, and the SHA-256 of all problems."""

    train: list[Problem]
    validation: list[Problem]
    skipped: tuple[str, ...]
    left_out: Mapping[str, int]
    sha256: str


class _Skipped(NamedTuple):
    """The rows left out, each with its location and the reason, and how many sound ones of each kind are among them."""

    rows: list[str]
    kinds: Counter[str]

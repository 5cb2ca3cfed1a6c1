"""Base of the tasks whose problems are rows of files; its two splits share no question."""

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NoReturn

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.files.rows import BadRowError, Row, json_lines
from trimtab.data.tasks.generated import is_validation
from trimtab.errors import DataError
from trimtab.random import derive_seed

OnBadRow = Annotated[
    Literal["error", "skip"],
    Field(description="a row that is no problem is an error, or is skipped, counted and named"),
]

ValidationPath = Annotated[
    str | None,
    Field(
        description="the JSONL file of the validation problems; null splits `path` by the questions' hashes",
        json_schema_extra=FILE_PATH,
    ),
]

Source = Callable[[], Iterable[Row]]
"""Reads the rows of a split; called once."""


def json_lines_sources(path: str, validation_path: str | None) -> tuple[Source, Source | None]:
    """The sources of a task whose `path` and `validation_path` name JSONL files."""
    train = partial(json_lines, path, key="data.task.path")
    if validation_path is None:
        return train, None
    return train, partial(json_lines, validation_path, key="data.task.validation_path")


class FileTask(ABC):
    """Base of the tasks whose problems are rows: a subclass says where the rows are and what problem a row is.

    With a source for each split, rows of the training source whose question the validation source has too are left out.
    With one source a question's split is decided by its hash, as for generated tasks (a fifth validates). Validation
    problems are all different. Two questions are the same when they differ in white space and Unicode composition only.
    Rows left out stand in `skipped`, with their place and the reason.
    """

    name: ClassVar[str]
    figures: tuple[str, ...] = ("exact_match",)

    def __init__(self, train: Source, validation: Source | None, on_bad_row: OnBadRow) -> None:
        self._train, self._validation, self._on_bad_row = train, validation, on_bad_row

    @abstractmethod
    def problem(self, values: Mapping[str, Any]) -> Problem:
        """The problem of a row. Raises `BadRowError` where it is none."""

    @abstractmethod
    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """See `Task.score`."""

    @property
    @abstractmethod
    def described(self) -> Mapping[str, Any]:
        """The parameters that decide what `score` returns and how the problems are shown, as JSON values."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """The parameters and a SHA-256 over all problems: the content decides, not the name of a file."""
        return {**self.described, "sha256": self._read.sha256}

    @property
    def skipped(self) -> tuple[str, ...]:
        """The rows left out: where each stands, and why."""
        return self._read.skipped

    def split(self, split: Split, count: int | None, seed: int) -> list[Problem]:
        """All problems of a split in the order of the rows, or `count` of them drawn by `seed`.

        More of them with the same seed include the fewer. Raises `DataError` where there are not as many, and for bad rows.
        """
        pool = self._read.train if split == "train" else self._read.validation
        if count is None:
            return list(pool)
        if count > len(pool):
            key = "data.size" if split == "train" else "data.validation"
            raise DataError(
                f"The task {self.name} has {len(pool):,} {split} problems, and `{key}` asks for {count:,}. Ask for that many "
                "at most, or set it to null for all of them."
            )
        order = list(range(len(pool)))
        random.Random(derive_seed(seed, "task", self.name, split)).shuffle(order)
        return [pool[index] for index in order[:count]]

    @cached_property
    def _read(self) -> "_Read":
        skipped: list[str] = []
        train: list[Problem] = []
        held: dict[str, Problem] = {}
        if self._validation is not None:
            for where, problem in self._problems(self._validation, skipped):
                _hold(held, where, problem, skipped)
        for where, problem in self._problems(self._train, skipped):
            if self._validation is None and is_validation(problem.question):
                _hold(held, where, problem, skipped)
            elif problem.question in held:
                skipped.append(f"{where}: its question is in the validation split too")
            else:
                train.append(problem)
        if not train or not held:
            self._empty(len(train), len(held), skipped)
        digest = hashlib.sha256()
        for part in (train, list(held.values())):
            digest.update(b"split")
            for problem in part:
                digest.update(repr(_content(problem)).encode())
        return _Read(train, list(held.values()), tuple(skipped), digest.hexdigest())

    def _problems(self, source: Source, skipped: list[str]) -> Iterator[tuple[str, Problem]]:
        for where, values in source():
            try:
                if isinstance(values, BadRowError):
                    raise values
                yield where, self.problem(values)
            except BadRowError as error:
                if self._on_bad_row == "error":
                    raise DataError(
                        f"{where}: {error}. Mend the row, or set `data.task.on_bad_row` to skip to leave such rows out; they "
                        "are then counted and named."
                    ) from error
                skipped.append(f"{where}: {error}")

    def _empty(self, train: int, held: int, skipped: list[str]) -> NoReturn:
        seen = f" {len(skipped):,} rows were left out, the first: {skipped[0]}." if skipped else ""
        found = f"{train:,} training and {held:,} validation problems"
        if self._validation is not None:
            advice = "Each file must have rows with questions of its own."
        else:
            advice = (
                "A fifth of the questions of one file validate; add rows, or name a file of its own for validation."
            )
        raise DataError(f"The task {self.name} has {found}; it needs both.{seen} {advice}")


class _Read(NamedTuple):
    """What one reading of the sources found."""

    train: list[Problem]
    validation: list[Problem]
    skipped: tuple[str, ...]
    sha256: str


def _hold(held: dict[str, Problem], where: str, problem: Problem, skipped: list[str]) -> None:
    if problem.question in held:
        skipped.append(f"{where}: its question is in the validation split already")
    else:
        held[problem.question] = problem


def _content(problem: Problem) -> tuple[Any, ...]:
    """All of a problem that a row decides."""
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

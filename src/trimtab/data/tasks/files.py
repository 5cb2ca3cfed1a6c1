"""Tasks whose problems stand in files: rows of JSON lines, bad ones by name, and two splits that share no question."""

import hashlib
import random
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NoReturn

from pydantic import Field

from trimtab.boundary import StrictJsonError, WrittenFloat, kind_of, open_regular, strict_json, user_path
from trimtab.data.files import shown
from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.generated import is_validation
from trimtab.errors import DataError
from trimtab.random import derive_seed

LONGEST_LINE = 1 << 26
"""Bytes of a line from which on it is a bad row: a file that is no JSON lines would otherwise be read whole."""

OnBadRow = Annotated[
    Literal["error", "skip"],
    Field(description="a row that is no problem is an error, or is skipped, counted and named"),
]


class BadRowError(ValueError):
    """A row that no problem can be made of; the message says why."""


class Row(NamedTuple):
    """A row of a source: where it stands, for people, and its values, or what is wrong with it."""

    where: str
    values: Mapping[str, Any] | BadRowError


Source = Callable[[], Iterable[Row]]


def json_lines(path: str, *, key: str) -> Iterator[Row]:
    """The rows of a JSONL file (UTF-8, an object a line), read line by line; blank lines are passed over.

    `key` is the parameter that names the file. A line that is no object of valid JSON is a row with its `BadRowError`.
    Raises `DataError` for a file that is missing or cannot be read.
    """
    place = existing_file(path, key)
    try:
        with open_regular(place) as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                where = f"{shown(place)}, line {number}"
                if len(line) > LONGEST_LINE:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LONGEST_LINE)
                    yield Row(where, BadRowError(f"it is longer than {LONGEST_LINE >> 20} MiB"))
                    continue
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield Row(where, _parsed(line))
    except OSError as error:
        raise DataError(f"{shown(place)} cannot be read ({error.strerror}). Check `{key}`.") from error


def value_of(values: Mapping[str, Any], key: str) -> Any:
    """What stands under a key, or under a path of keys with dots (`answers.text`). Raises `BadRowError` where nothing does."""
    if key in values:
        return values[key]
    here: Any = values
    for part in key.split("."):
        if not isinstance(here, Mapping) or part not in here:
            keys = ", ".join(repr(name) for name in list(values)[:8]) or "nothing"
            raise BadRowError(f"it has no {key!r}; it has {keys}")
        here = here[part]
    return here


def text_of(values: Mapping[str, Any], key: str) -> str:
    """The text under a key; see `value_of` and `checked_text`."""
    return checked_text(value_of(values, key), repr(key))


def checked_text(value: Any, name: str, *, numbers: bool = False) -> str:
    """`value` as text, stripped of white space around it; with `numbers` a number is one too, as its file writes it.

    Raises `BadRowError` for what is no text, empty, or no valid Unicode. `name` says what it is.
    """
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        checked_number(value, name)
        value = value.written if isinstance(value, WrittenFloat) else str(value)
    if not isinstance(value, str):
        kinds = "text or a number" if numbers else "text"
        raise BadRowError(f"{name} is {kind_of(value)} where {kinds} is needed")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise BadRowError(
                f"{name} is not valid Unicode: a lone surrogate (U+{ord(value[error.start]):04X}) at character {error.start}"
            ) from None
    value = value.strip()
    if not value:
        raise BadRowError(f"{name} is empty")
    return str(value)


def checked_number(value: Any, name: str) -> float:
    """`value` as a finite number. Raises `BadRowError` for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRowError(f"{name} is {kind_of(value)} where a number is needed")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number - number != 0:
        raise BadRowError(f"{name} is too large a number")
    return number


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


def question_key(text: str) -> str:
    """What is the same for two questions that differ in white space and Unicode composition only."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


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


def _parsed(line: bytes) -> Mapping[str, Any] | BadRowError:
    try:
        values = strict_json(line, one_line=True, as_written=True)
    except StrictJsonError as error:
        return BadRowError(str(error))
    return values if isinstance(values, dict) else BadRowError(f"it is {kind_of(values)} where an object is needed")


def existing_file(text: str, key: str, wanted: str = "a JSONL file, an object a line,") -> Path:
    """The path of a file that is there; raises `DataError` otherwise. `wanted` says what `key` is to name."""
    place = user_path(text, key)
    if not place.is_file():
        what = "is not a regular file" if place.exists() else "does not exist"
        looked = f" (looked for {shown(place.absolute())})" if not place.is_absolute() else ""
        raise DataError(f"The file '{text}' {what}{looked}. Name {wanted} in `{key}`.")
    return place

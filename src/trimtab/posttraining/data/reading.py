"""Reads the rows of a file into chats or pairs, checks that they have one format, and splits them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from trimtab.config.canonical import canonical_json
from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import BadRowError, Row, question_key
from trimtab.errors import DataError
from trimtab.posttraining.data.encoding import Dropped
from trimtab.posttraining.data.formats import Chat, Message, Pair, chat_format, pair_format, read_chat, read_pair
from trimtab.posttraining.data.rows import file_rows

RowPath = Annotated[
    str,
    Field(
        min_length=1,
        description="file of the rows: JSONL, a JSON list, or Parquet; with `validation_path`, of the training rows only",
        json_schema_extra=FILE_PATH,
    ),
]
ValidationRows = Annotated[
    str | None,
    Field(min_length=1, description="file of the validation rows; null: a part of `path`", json_schema_extra=FILE_PATH),
]
ValidationCount = Annotated[
    int | None,
    Field(
        ge=1,
        description="number of rows of `path` that validate (rows with one prompt stay together); null: a twentieth of them",
    ),
]
SplitSeed = Annotated[int, Field(ge=0, description="seed of the split; it does not depend on the seed of the run")]
OnBadRow = Annotated[
    Literal["error", "drop"],
    Field(
        description="whether a row that is no example (another format, no answer, identical answers) is an error, or is left out "
        "and counted"
    ),
]

Example = TypeVar("Example", Chat, Pair)


def read_chats(path: str, key: str, on_bad_row: OnBadRow, dropped: Dropped) -> list[Chat]:
    """The conversations of a file. Raises `DataError` for a row that is none, unless bad rows are dropped."""
    return _read(file_rows(path, key=key), chat_format, read_chat, on_bad_row, dropped)


def read_pairs(path: str, key: str, on_bad_row: OnBadRow, dropped: Dropped) -> list[Pair]:
    """The preference pairs of a file. Raises `DataError` for a row that is none, unless bad rows are dropped."""
    return _read(file_rows(path, key=key), pair_format, read_pair, on_bad_row, dropped)


def _read(
    rows: Iterable[Row],
    format_of: Callable[[Mapping[str, Any]], str],
    read: Callable[[Mapping[str, Any], str, str], Example],
    on_bad_row: OnBadRow,
    dropped: Dropped,
) -> list[Example]:
    examples: list[Example] = []
    first: str | None = None
    for row in rows:
        try:
            if isinstance(row.values, BadRowError):
                raise row.values
            found = format_of(row.values)
            if first is not None and found != first:
                raise BadRowError(f"it has the format {found}, but the rows before it have {first}")
            examples.append(read(row.values, found, row.where))
            first = found
        except BadRowError as error:
            if on_bad_row == "error":
                raise DataError(
                    f"{row.where}: the row cannot be used: {error}. Correct it, or leave such rows out with data.on_bad_row=drop."
                ) from error
            dropped.add(str(error), row.where)
    return examples


def prompt_key(prompt: Sequence[Message]) -> str:
    """The identity of a prompt: its roles and its texts, without differences in white space."""
    return canonical_json([[message["role"], question_key(message["content"])] for message in prompt])


def split(
    examples: Sequence[Example], validation: int | None, seed: int, name: str
) -> tuple[list[Example], list[Example]]:
    """Training and validation examples. No prompt is in both.

    Prompts are ordered by a hash of the seed and the prompt, and whole prompts go to validation until it has its number of
    examples. Raises `DataError` if no example would be left to train on.
    """
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(prompt_key(example.prompt), []).append(index)
    wanted = max(1, round(len(examples) / 20)) if validation is None else validation
    chosen: set[int] = set()
    for key in sorted(groups, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest()):
        if len(chosen) + len(groups[key]) <= wanted:
            chosen.update(groups[key])
        if len(chosen) == wanted:
            break
    if not chosen or len(chosen) == len(examples):
        raise DataError(
            f"{name} has {len(examples):,} usable rows with {len(groups):,} different prompts, of which {wanted:,} cannot "
            "validate and leave some to train on. Add rows, set data.validation to another number, or name data.validation_path."
        )
    train = [example for index, example in enumerate(examples) if index not in chosen]
    return train, [examples[index] for index in sorted(chosen)]

"""The data component `corpus`: text, encoded, split and cut into windows."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import Field

from trimtab.config import TaskEvalConfig
from trimtab.config.schema import FILE_PATH
from trimtab.data.batch import BatchSource, TaskDataset
from trimtab.data.cache import encoded, fingerprint, unknown_before
from trimtab.data.corpus import Corpus, Document, open_corpus
from trimtab.data.problem import Task
from trimtab.data.report import CorpusReport, UnknownCharacter, UnknownCharacters
from trimtab.data.tokenizers import Ids, Tokenizer
from trimtab.data.windows import WindowDataset
from trimtab.errors import ConfigError, DataError
from trimtab.runtime.events import OnEvent

DEFAULT_SHARE = 0.05
"""The default share of a corpus for validation."""


class DataReport(Protocol):
    """A report on the data of a run."""

    @property
    def tokens(self) -> int:
        """The number of tokens."""

    def lines(self) -> list[str]:
        """The report for people, one line per fact."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""


@dataclass(frozen=True)
class DataBundle:
    """The data of a run: two datasets and their origin.

    `task` is set if both datasets consist of problems that it can score (`ProblemDataset`). Without a `train_source`, training
    batches are the examples of `train`, shuffled again in each epoch. Where the trainer's own task evaluation does not fit the
    answers, `task_evaluator` makes another from the bundle, its options and the batch size.
    """

    tokenizer: Tokenizer
    train: TaskDataset
    validation: TaskDataset
    name: str
    fingerprint: str
    report: DataReport
    opening_text: Callable[[], str]
    """Returns the beginning of the training text, at most 5 million characters, used to build the set of known words."""
    task: Task | None = None
    train_source: BatchSource | None = None
    task_evaluator: Callable[["DataBundle", TaskEvalConfig, int], Any] | None = None


F = TypeVar("F", bound=Callable[..., DataBundle])


def with_fingerprint(fingerprint: Callable[..., str]) -> Callable[[F], F]:
    """Gives a data component a function that computes the fingerprint of its bundle without making the bundle.

    It takes those of the component's parameters that it needs, by name. With it, checking whether a finished run's data has
    changed takes only as long as hashing the files.
    """

    def mark(component: F) -> F:
        component.fingerprint = fingerprint  # type: ignore[attr-defined]
        return component

    return mark


def corpus_fingerprint(*, path: str | list[str] | None, tokenizer: Tokenizer, events: OnEvent | None = None) -> str:
    """The fingerprint of a corpus: of the raw content of its files, and of the tokenizer. Raises as `open_corpus` does."""
    return fingerprint(open_corpus(path, events), tokenizer)


@with_fingerprint(corpus_fingerprint)
def corpus(
    *,
    tokenizer: Tokenizer,
    path: Annotated[
        str | list[str] | None,
        Field(
            description="A text file, a folder of text files, or a list of these; null is the built-in corpus, the CPython "
            "language documentation (pydoc_data.topics). Relative paths become absolute when the run begins.",
            json_schema_extra=FILE_PATH,
        ),
    ] = None,
    context: Annotated[int, Field(ge=1, description="Number of positions in the model's context.")] = 256,
    stride: Annotated[
        int | None,
        Field(ge=1, description="Tokens between the starts of two windows, at most `context`; null means `context`."),
    ] = None,
    validation_share: Annotated[
        float, Field(gt=0, lt=1, description="Share of the corpus, at its end, used for validation.")
    ] = DEFAULT_SHARE,
    events: OnEvent | None = None,
) -> DataBundle:
    """Next-token prediction on plain text; see `build_corpus`."""
    return build_corpus(
        path=path,
        tokenizer=tokenizer,
        context=context,
        stride=stride,
        validation_share=validation_share,
        events=events,
    )


def build_corpus(
    *,
    path: str | list[str] | None,
    tokenizer: Tokenizer,
    context: int = 256,
    stride: int | None = None,
    validation_share: float = DEFAULT_SHARE,
    events: OnEvent | None = None,
) -> DataBundle:
    """Opens, encodes (or maps from the cache) and splits a corpus; the last `validation_share` of it is for validation.

    The fingerprint depends only on the raw content of the files and the tokenizer. Raises ConfigError if the stride exceeds the
    context, DataError if the text cannot be used or a split is shorter than one window (`context` + 1 tokens), and WorkError if
    the cache cannot be written.
    """
    _check_stride(context, stride)
    return _bundle(open_corpus(path, events), tokenizer, context, stride, validation_share, events)


def text_bundle(
    name: str,
    text: str,
    tokenizer: Tokenizer,
    *,
    context: int,
    stride: int | None = None,
    validation_share: float = DEFAULT_SHARE,
) -> DataBundle:
    """Returns the data of a text in memory; `name` is displayed. Raises as `build_corpus` does."""
    _check_stride(context, stride)
    content = text.encode()
    document = Document(name, len(content), hashlib.sha256(content).hexdigest(), text=text)
    return _bundle(Corpus(name, (document,)), tokenizer, context, stride, validation_share, None)


def _bundle(
    source: Corpus,
    tokenizer: Tokenizer,
    context: int,
    stride: int | None,
    validation_share: float,
    events: OnEvent | None,
) -> DataBundle:
    tokens, entry = encoded(source, tokenizer, events)
    train_tokens = _train_tokens(len(tokens), validation_share)
    unknown = sum(count for *_, count in entry.unknown_pieces)
    train_unknown = unknown_before(source, tokenizer, entry, train_tokens)
    listed = tuple(UnknownCharacter(chr(code), count) for code, count in entry.unknown_characters)
    report = CorpusReport(
        name=source.name,
        files=source.files,
        skipped=source.skipped,
        characters=entry.characters,
        tokens=entry.tokens,
        unknown_tokens=entry.unknown_tokens,
        dropped_characters=entry.dropped_characters,
        unknown_characters=UnknownCharacters(train_unknown, unknown - train_unknown, listed),
        inexact_cuts=entry.inexact_cuts,
        train_tokens=train_tokens,
        validation_tokens=entry.tokens - train_tokens,
        fingerprint=fingerprint(source, tokenizer),
    )
    _check_length(report, context, validation_share)
    return DataBundle(
        tokenizer=tokenizer,
        train=WindowDataset(tokens[:train_tokens], context, stride, vocabulary=tokenizer.vocabulary),
        validation=WindowDataset(tokens[train_tokens:], context, stride),
        name=source.name,
        fingerprint=report.fingerprint,
        report=report,
        opening_text=lambda: opening_text(tokenizer, tokens[:train_tokens]),
    )


def _check_stride(context: int, stride: int | None) -> None:
    if stride is not None and stride > context:
        raise ConfigError(
            f"`data.stride` is {stride} and exceeds `data.context` {context}, so the tokens between two windows would be lost. "
            "Set it to at most the context, or to null for the context itself."
        )


def opening_text(tokenizer: Tokenizer, tokens: Ids, characters: int = 5_000_000) -> str:
    """Returns the decoded beginning of a sequence of tokens, at most `characters` characters."""
    parts: list[str] = []
    length = 0
    step = 1 << 20
    for start in range(0, min(len(tokens), characters), step):
        parts.append(tokenizer.decode(tokens[start : start + step]))
        length += len(parts[-1])
        if length >= characters:
            break
    return "".join(parts)[:characters]


def _train_tokens(tokens: int, validation_share: float) -> int:
    return round(tokens * (1 - validation_share))


def _needed(window: int, validation_share: float) -> int:
    """The smallest number of tokens for which both splits contain a window."""
    too_few, enough = 0, math.ceil(2 * window / max(min(validation_share, 1 - validation_share), 1e-18))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        train = _train_tokens(middle, validation_share)
        too_few, enough = (middle, enough) if min(train, middle - train) < window else (too_few, middle)
    return enough


def _check_length(report: CorpusReport, context: int, validation_share: float) -> None:
    window = context + 1
    if min(report.train_tokens, report.validation_tokens) >= window:
        return
    part = "training" if report.train_tokens < window else "validation"
    if report.tokens >= _needed(window, DEFAULT_SHARE):
        lowest = math.ceil(window / report.tokens * 10_000) / 10_000
        raise DataError(
            f"`data.validation_share` is {validation_share}, which splits the corpus {report.name} into {report.train_tokens:,} "
            f"tokens to train and {report.validation_tokens:,} to validate, so its {part} part is shorter than one window of "
            f"{context} + 1 tokens. Set `data.validation_share` to a value from {lowest:g} to {1 - lowest:g}, for example "
            f"{DEFAULT_SHARE}, or set a smaller `data.context`."
        )
    needed = _needed(window, validation_share)
    # Integer division, because a float would round at a very small share.
    characters = -(-needed * report.characters // report.tokens) if report.tokens else needed
    raise DataError(
        f"The corpus {report.name} is too short: it has {report.characters:,} characters ({report.tokens:,} tokens), and about "
        f"{characters:,} ({needed:,} tokens) are needed for its {part} part to have one window of {context} + 1 tokens. The "
        f"split is now {report.train_tokens:,} tokens to train and {report.validation_tokens:,} to validate. Add text, or set a "
        "smaller `data.context` or another `data.validation_share`."
    )

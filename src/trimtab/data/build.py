"""The data of a run: a corpus, encoded, split and cut into windows."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.batch import BatchSource, TaskDataset
from trimtab.data.cache import encoded, fingerprint
from trimtab.data.corpus import Corpus, Document, open_corpus
from trimtab.data.problem import Task
from trimtab.data.report import CorpusReport, UnknownCharacter
from trimtab.data.tokenizers import Ids, Tokenizer
from trimtab.data.windows import WindowDataset
from trimtab.errors import ConfigError, DataError
from trimtab.runtime.events import OnEvent

DEFAULT_SHARE = 0.05
"""The share of a corpus that validates, unless a config sets another."""


class DataReport(Protocol):
    """The account of a run's data."""

    @property
    def tokens(self) -> int:
        """Tokens there are in all."""

    def lines(self) -> list[str]:
        """The account in sentences."""

    def to_dict(self) -> dict[str, Any]:
        """The account as JSON-ready values."""


@dataclass(frozen=True)
class DataBundle:
    """What a data component gives a run: two tasks and where they come from.

    `task` is there when both are of problems with a verifier (`ProblemDataset`). Without a `train_source`, training batches are
    the examples of `train`, shuffled anew in each epoch.
    """

    tokenizer: Tokenizer
    train: TaskDataset
    validation: TaskDataset
    name: str
    fingerprint: str
    report: DataReport
    opening_text: Callable[[], str]
    """The first characters of the training text (at most 5 million), for a dictionary of it."""
    task: Task | None = None
    train_source: BatchSource | None = None


F = TypeVar("F", bound=Callable[..., DataBundle])


def with_fingerprint(fingerprint: Callable[..., str]) -> Callable[[F], F]:
    """Gives a data component a function that computes the fingerprint of its bundle without making the bundle.

    It takes those of the component's parameters that it needs, by name. A finished run whose data has one is compared with what
    it would be now in the time that it takes to hash the files.
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
            description="A text file, a folder of text files, or a list of these; null is the embedded corpus, the CPython "
            "language documentation (pydoc_data.topics). A relative path is made absolute when the run begins.",
            json_schema_extra=FILE_PATH,
        ),
    ] = None,
    context: Annotated[int, Field(ge=1, description="Positions that the model sees at once.")] = 256,
    stride: Annotated[
        int | None,
        Field(
            ge=1, description="Tokens from one window's start to the next's, at most `context`; null means `context`."
        ),
    ] = None,
    validation_share: Annotated[
        float, Field(gt=0, lt=1, description="Share of the corpus, from its end, that is held out for validation.")
    ] = DEFAULT_SHARE,
    events: OnEvent | None = None,
) -> DataBundle:
    """Plain text to next-token windows: the component `corpus`; see `build_corpus`."""
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
    """Open, encode (or map from the cache) and split a corpus: its first part trains, its last `validation_share` validates.

    The fingerprint depends on the files' raw content and the tokenizer alone. Raises ConfigError for a stride beyond the
    context, DataError for text that cannot be used or where one part is shorter than one window (`context` + 1 tokens),
    and WorkError when the cache cannot be written.
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
    """The windows of a text that a component makes by itself; `name` is how it is shown. Raises as `build_corpus` does."""
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
    report = CorpusReport(
        name=source.name,
        files=source.files,
        skipped=source.skipped,
        characters=entry.characters,
        tokens=entry.tokens,
        unknown_tokens=entry.unknown_tokens,
        dropped_characters=entry.dropped_characters,
        unknown_characters=tuple(UnknownCharacter(chr(code), count) for code, count in entry.unknown_characters),
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
            f"`data.stride` is {stride}, beyond `data.context`, {context}: the tokens between two windows would be lost. "
            "Set it to the context at most, or to null for the context itself."
        )


def opening_text(tokenizer: Tokenizer, tokens: Ids, characters: int = 5_000_000) -> str:
    """The first `characters` characters (or a little fewer) of a stretch of tokens, decoded: what a dictionary is made of."""
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
    """The fewest tokens of which both parts hold a window."""
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
            f"tokens to train and {report.validation_tokens:,} to validate: its {part} part holds no window of {context} + 1 "
            f"tokens. Set `data.validation_share` to a value from {lowest:g} to {1 - lowest:g}, {DEFAULT_SHARE} say, or take a "
            "smaller `data.context`."
        )
    needed = _needed(window, validation_share)
    # Whole numbers: a float would round what is needed at a very small share.
    characters = -(-needed * report.characters // report.tokens) if report.tokens else needed
    raise DataError(
        f"The corpus {report.name} is too short: {report.characters:,} characters ({report.tokens:,} tokens) found, about "
        f"{characters:,} ({needed:,} tokens) needed, so that its {part} part ({report.train_tokens:,} "
        f"tokens to train, {report.validation_tokens:,} to validate) holds one window of {context} + 1 tokens. Add text, or "
        "set a smaller `data.context` or another `data.validation_share`."
    )

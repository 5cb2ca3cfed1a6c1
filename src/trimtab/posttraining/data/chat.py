"""The data component `chat`: conversations of which the answers have labels."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from trimtab.config.canonical import canonical_json
from trimtab.data import DataBundle, Item, Tokenizer
from trimtab.data.report import UnknownCharacters
from trimtab.data.tasks.build import Context
from trimtab.posttraining.data.encoding import Dropped, Encoded, Encoder, TooLong, refuse_empty
from trimtab.posttraining.data.formats import Chat
from trimtab.posttraining.data.reading import (
    OnBadRow,
    RowPath,
    SplitSeed,
    ValidationCount,
    ValidationRows,
    read_chats,
    split,
)
from trimtab.posttraining.data.reference import Reference, ReferencePath, ReferencePrecision, expand_reference
from trimtab.posttraining.data.report import PostTrainingReport, lengths, unknown_characters
from trimtab.posttraining.data.templates import Refused, TemplateFile, TemplateName, TrainOn, template_for
from trimtab.runtime.events import OnEvent


class ChatDataset:
    """Conversations as a `TaskDataset`.

    The metadata of an item has `desirable`, the label of unpaired feedback (None without one), and, with a reference, its log
    probability of the answers: `reference_log_prob`.
    """

    def __init__(
        self,
        chats: Sequence[Chat],
        rows: Sequence[Encoded],
        reference: Float64[np.ndarray, " rows"] | None = None,
    ) -> None:
        self.chats, self.rows, self.reference = chats, rows, reference

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Item:
        ids, labels = self.rows[index].tensors()
        metadata: dict[str, Any] = {"desirable": self.chats[index].desirable}
        if self.reference is not None:
            metadata["reference_log_prob"] = float(self.reference[index])
        return {"input_ids": ids, "labels": labels, "metadata": metadata}


def chat(
    *,
    tokenizer: Tokenizer,
    path: RowPath,
    validation_path: ValidationRows = None,
    validation: ValidationCount = None,
    seed: SplitSeed = 0,
    context: Context = 256,
    template: TemplateName = "auto",
    template_file: TemplateFile = None,
    train_on: TrainOn = "last",
    too_long: TooLong = "drop",
    on_bad_row: OnBadRow = "error",
    reference: ReferencePath = None,
    reference_precision: ReferencePrecision = "fp32",
    events: OnEvent | None = None,
) -> DataBundle:
    """Conversations from a file, in the formats of OpenAI, ShareGPT, Alpaca and prompt/completion.

    Raises ConfigError or DataError if parameters, rows, template and tokenizer do not fit together.
    """
    encoder = Encoder(tokenizer, template_for(template, template_file, tokenizer), context, train_on, too_long)
    dropped = Dropped()
    name = Path(path).name
    read = read_chats(path, "data.path", on_bad_row, dropped)
    if validation_path is None:
        parts = _kept(read, encoder, dropped)
        refuse_empty(name, len(parts), dropped)
        known = dict(zip(map(id, (one for one, _ in parts)), parts, strict=True))
        train, held_out = (
            [known[id(one)] for one in half] for half in split([one for one, _ in parts], validation, seed, name)
        )
    else:
        train = _kept(read, encoder, dropped)
        held_out = _kept(read_chats(validation_path, "data.validation_path", on_bad_row, dropped), encoder, dropped)
        refuse_empty(name, len(train), dropped)
        refuse_empty(Path(validation_path).name, len(held_out), dropped)
    rows = [row for _, row in [*train, *held_out]]
    probabilities = (
        None
        if reference is None
        else Reference(reference, reference_precision, tokenizer, encoder.template.identity).log_probs(rows, events)
    )
    values = None if probabilities is None else probabilities.values
    count = len(train)
    report = PostTrainingReport(
        name=name,
        unit="chats",
        train=count,
        validation=len(held_out),
        tokens=sum(len(row.ids) for _, row in train),
        answer_tokens=sum(row.answer_tokens for _, row in train),
        cut=sum(row.was_cut for row in rows),
        dropped=dropped,
        unknown_characters=UnknownCharacters.of(*(_unknown(part, tokenizer) for part in (train, held_out))),
        reference=None if probabilities is None else probabilities.shown,
        **lengths(rows),
    )
    return DataBundle(
        tokenizer=tokenizer,
        train=_dataset(train, None if values is None else values[:count]),
        validation=_dataset(held_out, None if values is None else values[count:]),
        name=name,
        fingerprint=fingerprint("chat", rows, count, tokenizer, None if probabilities is None else probabilities.key),
        report=report,
        opening_text=lambda: opening_text([row for _, row in train], tokenizer),
    )


chat.expand = expand_reference  # type: ignore[attr-defined]


def fingerprint(kind: str, rows: Sequence[Encoded], train: int, tokenizer: Tokenizer, reference: str | None) -> str:
    """SHA-256 of the tokens and labels of all rows, of the split, the tokenizer, and the reference's key."""
    digest = hashlib.sha256()
    known = {"kind": kind, "version": 1, "train": train, "tokenizer": tokenizer.fingerprint, "reference": reference}
    digest.update(canonical_json(known).encode())
    for row in rows:
        digest.update(len(row.ids).to_bytes(8, "big") + row.ids.tobytes() + row.labels.tobytes())
    return digest.hexdigest()


def opening_text(rows: Sequence[Encoded], tokenizer: Tokenizer, characters: int = 5_000_000) -> str:
    """The text of the first rows."""
    parts: list[str] = []
    length = 0
    for row in rows:
        parts.append(tokenizer.decode(row.ids))
        length += len(parts[-1])
        if length >= characters:
            break
    return "\n".join(parts)[:characters]


def _kept(chats: Sequence[Chat], encoder: Encoder, dropped: Dropped) -> list[tuple[Chat, Encoded]]:
    kept = []
    for one, row in zip(chats, encoder.encode(chats), strict=True):
        if isinstance(row, Refused):
            dropped.add(row.reason, one.where)
        else:
            kept.append((one, row))
    return kept


def _unknown(part: Sequence[tuple[Chat, Encoded]], tokenizer: Tokenizer) -> Any:
    texts = ["".join(message["content"] for message in one.messages) for one, _ in part]
    return unknown_characters([row for _, row in part], texts, tokenizer)


def _dataset(part: Sequence[tuple[Chat, Encoded]], reference: Float64[np.ndarray, " rows"] | None) -> ChatDataset:
    return ChatDataset([one for one, _ in part], [row for _, row in part], reference)

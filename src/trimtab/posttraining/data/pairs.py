"""The data component `pairs`: prompts with a chosen and a rejected answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from trimtab.data import Batch, DataBundle, Item, Tokenizer, collate
from trimtab.data.report import UnknownCharacters
from trimtab.data.tasks.build import Context
from trimtab.posttraining.data.chat import fingerprint, opening_text
from trimtab.posttraining.data.encoding import Dropped, Encoded, Encoder, TooLong, refuse_empty
from trimtab.posttraining.data.formats import Pair
from trimtab.posttraining.data.reading import (
    OnBadRow,
    RowPath,
    SplitSeed,
    ValidationCount,
    ValidationRows,
    read_pairs,
    split,
)
from trimtab.posttraining.data.reference import Reference, ReferencePath, ReferencePrecision, expand_reference
from trimtab.posttraining.data.report import PostTrainingReport, lengths, unknown_characters
from trimtab.posttraining.data.templates import Refused, TemplateFile, TemplateName, template_for
from trimtab.runtime.events import OnEvent


class PairDataset:
    """Pairs as a `TaskDataset` whose batches have two rows per pair: the chosen answer, and after it the rejected one.

    The metadata has an entry per row: `preferred` (true in the rows of chosen answers), `index` (of the pair), and, with a
    reference, `reference_log_prob`, the reference's log probability of the row's answer. An item is the row of a chosen answer.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        rows: Sequence[Encoded],
        reference: Float64[np.ndarray, " rows"] | None = None,
    ) -> None:
        self.pairs, self.rows, self.reference = pairs, rows, reference

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Item:
        return self._item(2 * index)

    def batch(self, indices: list[int], pad: int) -> Batch:
        """The pairs of `indices`, two rows each."""
        batch = collate([self._item(2 * index + row) for index in indices for row in (0, 1)], pad)
        batch.metadata["index"] = [index for index in indices for _ in (0, 1)]
        return batch

    def _item(self, row: int) -> Item:
        ids, labels = self.rows[row].tensors()
        metadata: dict[str, Any] = {"preferred": row % 2 == 0}
        if self.reference is not None:
            metadata["reference_log_prob"] = float(self.reference[row])
        return {"input_ids": ids, "labels": labels, "metadata": metadata}


def pairs(
    *,
    tokenizer: Tokenizer,
    path: RowPath,
    validation_path: ValidationRows = None,
    validation: ValidationCount = None,
    seed: SplitSeed = 0,
    context: Context = 256,
    template: TemplateName = "auto",
    template_file: TemplateFile = None,
    too_long: TooLong = "drop",
    on_bad_row: OnBadRow = "error",
    reference: ReferencePath = None,
    reference_precision: ReferencePrecision = "fp32",
    events: OnEvent | None = None,
) -> DataBundle:
    """Preference pairs from a file, in the formats of TRL, ShareGPT, Alpaca and HH-RLHF; `batch_size` counts pairs.

    Raises ConfigError or DataError if parameters, rows, template and tokenizer do not fit together.
    """
    encoder = Encoder(tokenizer, template_for(template, template_file, tokenizer), context, "last", too_long)
    dropped = Dropped()
    name = Path(path).name
    read = read_pairs(path, "data.path", on_bad_row, dropped)
    if validation_path is None:
        parts = _kept(read, encoder, dropped)
        refuse_empty(name, len(parts), dropped)
        known = dict(zip(map(id, (pair for pair, _ in parts)), parts, strict=True))
        train, held_out = (
            [known[id(pair)] for pair in half] for half in split([pair for pair, _ in parts], validation, seed, name)
        )
    else:
        train = _kept(read, encoder, dropped)
        held_out = _kept(read_pairs(validation_path, "data.validation_path", on_bad_row, dropped), encoder, dropped)
        refuse_empty(name, len(train), dropped)
        refuse_empty(Path(validation_path).name, len(held_out), dropped)
    whole = [*train, *held_out]
    rows = [row for _, both in whole for row in both]
    probabilities = (
        None
        if reference is None
        else Reference(reference, reference_precision, tokenizer, encoder.template.identity).log_probs(rows, events)
    )
    values = None if probabilities is None else probabilities.values
    count = 2 * len(train)
    report = PostTrainingReport(
        name=name,
        unit="pairs",
        train=len(train),
        validation=len(held_out),
        tokens=sum(len(row.ids) for row in rows[:count]),
        answer_tokens=sum(row.answer_tokens for row in rows[:count]),
        cut=sum(chosen.was_cut or rejected.was_cut for _, (chosen, rejected) in whole),
        dropped=dropped,
        unknown_characters=UnknownCharacters.of(*(_unknown(part, tokenizer) for part in (train, held_out))),
        chosen_longer=float(np.mean([one.answer_tokens > other.answer_tokens for _, (one, other) in whole])),
        reference=None if probabilities is None else probabilities.shown,
        **lengths(rows),
    )
    return DataBundle(
        tokenizer=tokenizer,
        train=_dataset(train, None if values is None else values[:count]),
        validation=_dataset(held_out, None if values is None else values[count:]),
        name=name,
        fingerprint=fingerprint("pairs", rows, count, tokenizer, None if probabilities is None else probabilities.key),
        report=report,
        opening_text=lambda: opening_text(rows[:count], tokenizer),
    )


pairs.expand = expand_reference  # type: ignore[attr-defined]

_Encoded = tuple[Pair, tuple[Encoded, Encoded]]


def _kept(read: Sequence[Pair], encoder: Encoder, dropped: Dropped) -> list[_Encoded]:
    """The pairs whose two answers can be encoded and differ in their tokens."""
    rows = iter(encoder.encode([one for pair in read for one in pair.chats()]))
    kept: list[_Encoded] = []
    for pair in read:
        chosen, rejected = next(rows), next(rows)
        if isinstance(chosen, Refused) or isinstance(rejected, Refused):
            reasons = [row.reason for row in (chosen, rejected) if isinstance(row, Refused)]
            dropped.add(reasons[0], pair.where)
        elif np.array_equal(chosen.ids, rejected.ids):
            dropped.add("its chosen and rejected answers have the same tokens", pair.where)
        else:
            kept.append((pair, (chosen, rejected)))
    return kept


def _unknown(part: Sequence[_Encoded], tokenizer: Tokenizer) -> Any:
    texts = ["".join(message["content"] for message in one.messages) for pair, _ in part for one in pair.chats()]
    return unknown_characters([row for _, both in part for row in both], texts, tokenizer)


def _dataset(part: Sequence[_Encoded], reference: Float64[np.ndarray, " rows"] | None) -> PairDataset:
    return PairDataset([pair for pair, _ in part], [row for _, both in part for row in both], reference)

"""What is in a file of chats or preference pairs, and what is wrong with it."""

import hashlib
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.boundary import read_regular
from trimtab.data import Tokenizer
from trimtab.data.tasks.files import BadRowError, existing_file
from trimtab.errors import DataError
from trimtab.posttraining.checks.overlaps import contaminated, equal_texts, near_duplicates, strings_of, words_of
from trimtab.posttraining.data.encoding import Dropped, Encoder
from trimtab.posttraining.data.formats import Chat, Pair, chat_format, pair_format
from trimtab.posttraining.data.reading import prompt_key, read_chats, read_pairs
from trimtab.posttraining.data.rows import file_rows
from trimtab.posttraining.data.templates import Refused, TemplateName, template_for

_KEPT = 20
"""The most rows that a report lists for one finding."""


@dataclass(frozen=True)
class CheckOptions:
    """What a file is checked against: a file of validation rows, files of evaluation sets, a tokenizer with its context."""

    validation: str | None = None
    evaluation: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None
    context: int = 2048
    template: TemplateName = "auto"


def check_file(path: str, options: CheckOptions) -> dict[str, Any]:
    """The findings on a file, as JSON values.

    Raises `DataError` for a file without a usable row, and the errors of the tokenizer and the template.
    """
    kind = _kind(path)
    dropped = Dropped()
    examples = _read(path, "FILE", kind, dropped)
    if not examples:
        raise DataError(f"{path} has no usable row: {'; '.join(dropped.lines()) or 'it is empty'}. Correct its rows.")
    findings: dict[str, Any] = {
        "file": path,
        "sha256": hashlib.sha256(read_regular(Path(path))).hexdigest(),
        "kind": kind,
        "rows": len(examples) + sum(dropped.counts.values()),
        "usable": len(examples),
        "unusable": _counts(dropped),
        "characters": {name: _distribution(list(map(len, texts))) for name, texts in _texts(examples).items()},
        "duplicates": _duplicates(examples),
        "encoding": _encoding(examples),
    }
    if kind == "pairs":
        findings["labels"] = _labels([one for one in examples if isinstance(one, Pair)])
    if options.validation is not None:
        findings["validation"] = _against_validation(examples, options.validation, kind)
    if options.evaluation:
        findings["contamination"] = {file: _contamination(examples, file) for file in options.evaluation}
    if options.tokenizer is not None:
        findings["tokens"] = _tokens(examples, options.tokenizer, options)
    return findings


def _kind(path: str) -> str:
    """Whether the first row that is an object is a pair or a chat."""
    for row in file_rows(path, key="FILE"):
        if isinstance(row.values, BadRowError):
            continue
        try:
            pair_format(row.values)
        except BadRowError:
            try:
                chat_format(row.values)
            except BadRowError as error:
                raise DataError(f"{row.where}: {error}. Name a file of chats or of preference pairs.") from error
            return "chats"
        return "pairs"
    raise DataError(f"{path} has no row that is an object. Name a file of chats or of preference pairs.")


def _read(path: str, key: str, kind: str, dropped: Dropped) -> list[Chat] | list[Pair]:
    return read_pairs(path, key, "drop", dropped) if kind == "pairs" else read_chats(path, key, "drop", dropped)


def _counts(dropped: Dropped) -> list[dict[str, Any]]:
    return [
        {"reason": reason, "rows": count, "first": dropped.first[reason]}
        for reason, count in dropped.counts.most_common()
    ]


def _prompt_text(example: Chat | Pair) -> str:
    return "\n".join(message["content"] for message in example.prompt)


def _answers(example: Chat | Pair) -> tuple[str, ...]:
    return (example.chosen, example.rejected) if isinstance(example, Pair) else (example.messages[-1]["content"],)


def _texts(examples: Sequence[Chat | Pair]) -> dict[str, list[str]]:
    names = ("chosen", "rejected") if isinstance(examples[0], Pair) else ("answer",)
    answers = zip(*map(_answers, examples), strict=True)
    return {"prompt": list(map(_prompt_text, examples)), **{n: list(t) for n, t in zip(names, answers, strict=True)}}


def _distribution(lengths: Sequence[int]) -> dict[str, float]:
    low, median, high, top = np.quantile(lengths, (0, 0.5, 0.95, 1)).tolist()
    return {"least": low, "median": median, "mean": float(np.mean(lengths)), "percentile_95": high, "most": top}


def _duplicates(examples: Sequence[Chat | Pair]) -> dict[str, Any]:
    """Repeated prompts, repeated rows, and rows that are nearly equal."""
    whole = ["\n".join((_prompt_text(one), *_answers(one))) for one in examples]
    near = near_duplicates(whole)
    return {
        "prompts": equal_texts([_prompt_text(one) for one in examples]),
        "rows": equal_texts(whole),
        "near": len(near),
        "near_rows": [
            {"first": examples[first].where, "second": examples[second].where, "similarity": similarity}
            for first, second, similarity in near[:_KEPT]
        ],
    }


def _encoding(examples: Sequence[Chat | Pair]) -> list[dict[str, Any]]:
    """Rows with characters that indicate a wrong encoding or that no one meant to write."""
    dropped = Dropped()
    for example in examples:
        text = "\n".join((_prompt_text(example), *_answers(example)))
        if "\ufffd" in text:
            dropped.add("it has the replacement character U+FFFD, left by a wrong decoding", example.where)
        if any(mark in text for mark in ("Ã©", "Ã¤", "â€™", "â€œ", "Â ")):
            dropped.add("UTF-8 was read as another encoding (such as â€™ for an apostrophe)", example.where)
        if any(unicodedata.category(char) == "Cc" and char not in "\n\t\r" for char in text):
            dropped.add("it has control characters", example.where)
    return _counts(dropped)


def _labels(pairs: Sequence[Pair]) -> dict[str, Any]:
    """How the chosen answers differ from the rejected ones besides being chosen, and labels that contradict each other."""
    differences = np.array([len(pair.chosen) - len(pair.rejected) for pair in pairs], dtype=np.float64)
    unequal = int(np.count_nonzero(differences))
    longer = int((differences > 0).sum())
    low, high = _wilson(longer, unequal)
    known = {(prompt_key(pair.prompt), words_of(pair.chosen), words_of(pair.rejected)) for pair in pairs}
    return {
        "chosen_longer": longer / unequal if unequal else math.nan,
        "chosen_longer_interval": [low, high],
        "length_is_asymmetric": not low <= 0.5 <= high,
        "mean_difference": float(differences.mean()),
        "contradictions": sum((prompt, rejected, chosen) in known for prompt, chosen, rejected in known) // 2,
    }


def _wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927); 0 to 1 without observations."""
    if not count:
        return 0.0, 1.0
    z, share = 1.959964, successes / count
    centre, spread = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)


def _against_validation(examples: Sequence[Chat | Pair], path: str, kind: str) -> dict[str, Any]:
    """The validation rows whose prompt is also a training prompt, or nearly so."""
    dropped = Dropped()
    held_out = _read(path, "--validation", kind, dropped)
    prompts = {words_of(_prompt_text(one)) for one in examples}
    same = [one.where for one in held_out if words_of(_prompt_text(one)) in prompts]
    texts = [_prompt_text(one) for one in (*examples, *held_out)]
    near = [pair for pair in near_duplicates(texts) if pair[0] < len(examples) <= pair[1]]
    return {
        "file": path,
        "usable": len(held_out),
        "unusable": _counts(dropped),
        "shared_prompts": len(same),
        "shared_rows": same[:_KEPT],
        "near_prompts": len({second for _, second, _ in near}),
    }


def _contamination(examples: Sequence[Chat | Pair], path: str) -> dict[str, Any]:
    existing_file(path, "--evaluation", "a file of an evaluation set")
    texts = [text for row in file_rows(path, key="--evaluation") for text in strings_of(row.values)]
    found = contaminated(["\n".join((_prompt_text(one), *_answers(one))) for one in examples], texts)
    return {"rows": len(found), "first": [examples[index].where for index in found[:_KEPT]]}


def _tokens(examples: Sequence[Chat | Pair], tokenizer: Tokenizer, options: CheckOptions) -> dict[str, Any]:
    """Lengths in tokens, and the rows that a run with this tokenizer, template and context would leave out."""
    template = template_for(options.template, None, tokenizer)
    encoder = Encoder(tokenizer, template, options.context, "last", "drop")
    chats = [chat for one in examples for chat in (one.chats() if isinstance(one, Pair) else (one,))]
    dropped, lengths, answers, unknown = Dropped(), [], [], 0
    refused: set[str] = set()  # a pair counts once
    for chat, row in zip(chats, encoder.encode(chats), strict=True):
        if isinstance(row, Refused):
            if chat.where not in refused:
                dropped.add(row.reason, chat.where)
            refused.add(chat.where)
            continue
        lengths.append(len(row.ids))
        answers.append(row.answer_tokens)
        unknown += int(tokenizer.unknown_count(row.ids.astype(tokenizer.dtype)) > 0)
    figures: Mapping[str, Any] = {"row": _distribution(lengths), "answer": _distribution(answers)} if lengths else {}
    return {
        "tokenizer": tokenizer.name,
        "context": options.context,
        "lengths": dict(figures),
        "rows_with_unknown_characters": unknown,
        "would_be_dropped": _counts(dropped),
    }

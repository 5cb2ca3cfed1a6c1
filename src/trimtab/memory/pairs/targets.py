"""Pairs as target token ids, and which pairs cannot be targets."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from trimtab.data.tokenizers import Tokenizer
from trimtab.errors import ConfigError
from trimtab.memory.pairs.pair import Pair


class UnusableTextError(ValueError):
    """A text that cannot be a target; the message says why."""


@dataclass(frozen=True)
class EncodedPair:
    """A pair with the token ids of its question and of its answer, the end token last in both."""

    pair: Pair
    question: Int[np.ndarray, " question"]
    answer: Int[np.ndarray, " answer"]


@dataclass(frozen=True)
class SkippedPair:
    """The id of a pair that was left out, and a sentence that says why."""

    pair: str
    reason: str


@dataclass(frozen=True)
class EncodedPairs:
    """The pairs that can be targets, in order, and those that cannot."""

    pairs: tuple[EncodedPair, ...]
    skipped: tuple[SkippedPair, ...]


def encode_pairs(
    pairs: Iterable[Pair],
    tokenizer: Tokenizer,
    *,
    longest_question: int | None,
    longest_answer: int | None,
    context: int,
    overhead: int,
) -> EncodedPairs:
    """Encode both sides of every pair with `target_ids`; pairs with a side that cannot be a target are skipped.

    `longest_question` and `longest_answer` bound the tokens of a side, end token included; None means no bound but the context.
    Raises `ConfigError` for a tokenizer without an end token.
    """
    end_token(tokenizer)
    encoded: list[EncodedPair] = []
    skipped: list[SkippedPair] = []
    for pair in pairs:
        try:
            question, answer = (
                target_ids(text, tokenizer, name=side, longest=longest, context=context, overhead=overhead)
                for side, text, longest in (
                    ("question", pair.question, longest_question),
                    ("answer", pair.answer, longest_answer),
                )
            )
        except UnusableTextError as error:
            skipped.append(SkippedPair(pair.id, str(error)))
        else:
            encoded.append(EncodedPair(pair, question, answer))
    return EncodedPairs(tuple(encoded), tuple(skipped))


def target_ids(
    text: str, tokenizer: Tokenizer, *, name: str, longest: int | None, context: int, overhead: int
) -> Int[np.ndarray, " tokens"]:
    """The token ids (int64) of a text, followed by the end token.

    No space is added before the text, because no word precedes it after memory vectors, and so that `decode` gives the same text.
    A target and the `overhead` positions before it (vectors and mode) must fit into the context. The end token is counted,
    although no model has to read it. `name` is what error messages call the text.

    Raises:
        UnusableTextError: the text is too long, has no tokens, contains the end token, or changes when it is encoded and decoded
            (unknown characters, dropped capitals or spaces).
        ConfigError: the tokenizer has no end token.
    """
    end = end_token(tokenizer)
    ids = np.asarray(tokenizer.encode(text), dtype=np.int64)
    if not ids.size:
        raise UnusableTextError(f"The tokenizer gives no token for the {name}.")
    if (ids == end).any():
        raise UnusableTextError(
            f"The {name} contains the tokenizer's end token, {tokenizer.texts()[end]!r}, so it would end there."
        )
    if longest is not None and ids.size >= longest:
        raise UnusableTextError(
            f"The {name} has {ids.size + 1:,} tokens with its end token, but at most {longest:,} are allowed."
        )
    if overhead + ids.size + 1 > context:
        raise UnusableTextError(
            f"The {name} needs {ids.size + 1:,} tokens (end token included) and {overhead:,} positions before it, but the "
            f"context has only {context:,}."
        )
    if (decoded := tokenizer.decode(ids)) != text:
        raise UnusableTextError(
            f"The tokenizer does not decode the {name} to the same text: {_difference(text, decoded)}."
        )
    return np.append(ids, end)


def end_token(tokenizer: Tokenizer) -> int:
    """The tokenizer's end token. Raises `ConfigError` if it has none."""
    if tokenizer.end is None:
        raise ConfigError(
            f"The tokenizer {tokenizer.name} has no end token, which the texts of a memory need. "
            "Use the tokenizer of a pretrained model whose tokenizer_config.json names an eos_token."
        )
    return tokenizer.end


def _difference(text: str, decoded: str) -> str:
    """The first difference between a text and its decoded tokens."""
    at = next(
        (i for i, (one, other) in enumerate(zip(text, decoded, strict=False)) if one != other),
        min(len(text), len(decoded)),
    )
    return f"from character {at} on, {text[at : at + 20]!r} becomes {decoded[at : at + 20]!r}"

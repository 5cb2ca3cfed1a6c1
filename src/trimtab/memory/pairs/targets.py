"""Pairs as the token ids that a model is to say, and which pairs cannot be said."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from trimtab.data.tokenizers import Tokenizer
from trimtab.errors import ConfigError
from trimtab.memory.pairs.pair import Pair


class UnfitError(ValueError):
    """A text that cannot be a target; the message says why, beginning with what `called` it."""


@dataclass(frozen=True)
class EncodedPair:
    """A pair with the token ids of its question and of its answer, the end token last in both."""

    pair: Pair
    question: Int[np.ndarray, "question"]
    answer: Int[np.ndarray, "answer"]


@dataclass(frozen=True)
class SkippedPair:
    """The id of a pair left out, and why in a sentence."""

    pair: str
    reason: str


@dataclass(frozen=True)
class Encoded:
    """The pairs that can be said, in their order, and those that cannot."""

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
) -> Encoded:
    """Both sides of every pair as targets (`target_ids`), and the pairs that have a side that cannot be one.

    `longest_question` and `longest_answer` bound the tokens of a side, its end token included; null for no bound but the
    context. Raises `ConfigError` for a tokenizer without an end token.
    """
    end_token(tokenizer)
    encoded: list[EncodedPair] = []
    skipped: list[SkippedPair] = []
    for pair in pairs:
        try:
            question, answer = (
                target_ids(text, tokenizer, called=side, longest=longest, context=context, overhead=overhead)
                for side, text, longest in (
                    ("question", pair.question, longest_question),
                    ("answer", pair.answer, longest_answer),
                )
            )
        except UnfitError as error:
            skipped.append(SkippedPair(pair.id, str(error)))
        else:
            encoded.append(EncodedPair(pair, question, answer))
    return Encoded(tuple(encoded), tuple(skipped))


def target_ids(
    text: str, tokenizer: Tokenizer, *, called: str, longest: int | None, context: int, overhead: int
) -> Int[np.ndarray, "tokens"]:
    """The token ids (int64) of a text as it is, and the end token after them.

    No space is put before the text: after content vectors there is no word that it would have to be set off from, and
    `decode` gives the text itself back. A target has to fit into the context together with the `overhead` positions before
    it (content vectors and mode), the end token counted although no model has to read it.

    Raises:
        UnfitError: the text is too long, is no token at all, holds the end token, or is not what the tokenizer makes of its
            tokens again (characters it does not know, capitals or spaces that it drops).
        ConfigError: the tokenizer has no end token.
    """
    end = end_token(tokenizer)
    ids = np.asarray(tokenizer.encode(text), dtype=np.int64)
    if not ids.size:
        raise UnfitError(f"The {called} is no token at all to the tokenizer.")
    if (ids == end).any():
        raise UnfitError(
            f"The {called} holds the tokenizer's end token, {tokenizer.texts()[end]!r}, so that it would end there."
        )
    if longest is not None and ids.size >= longest:
        raise UnfitError(f"The {called} has {ids.size + 1:,} tokens with its end token, and {longest:,} are allowed.")
    if overhead + ids.size + 1 > context:
        raise UnfitError(
            f"The {called} has {ids.size + 1:,} tokens with its end token, which with the {overhead:,} positions before it is "
            f"longer than the context of {context:,}."
        )
    if (said := tokenizer.decode(ids)) != text:
        raise UnfitError(f"The tokenizer cannot spell the {called} back: {_difference(text, said)}.")
    return np.append(ids, end)


def end_token(tokenizer: Tokenizer) -> int:
    """The id of the token that ends a target. Raises `ConfigError` for a tokenizer that has none."""
    if tokenizer.end is None:
        raise ConfigError(
            f"The tokenizer {tokenizer.name} has no token that ends an answer, and a memory has to know where its texts end. "
            "Use the tokenizer of a pretrained model whose tokenizer_config.json names an eos_token."
        )
    return tokenizer.end


def _difference(text: str, said: str) -> str:
    """Where a text and what was made of it part."""
    at = next(
        (i for i, (one, other) in enumerate(zip(text, said, strict=False)) if one != other), min(len(text), len(said))
    )
    return f"from character {at} on, {text[at : at + 20]!r} becomes {said[at : at + 20]!r}"

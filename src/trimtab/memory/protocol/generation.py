"""Texts that a model decodes from memories, compared with the targets."""

from collections.abc import Sequence
from typing import Any

from trimtab.data.tokenizers import Tokenizer
from trimtab.memory.engine.decoding import greedy_decode, prompt_vectors
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.pairs import grade
from trimtab.memory.protocol.candidates import SIDES
from trimtab.memory.store import Memory


def generation_rows(
    network: FrozenNetwork,
    precision: str,
    memories: Sequence[Memory],
    tokenizer: Tokenizer,
    *,
    solved: bool = True,
) -> list[dict[str, Any]]:
    """One row per memory and side: greedy decoding from mode and vectors alone, for a few tokens more than the target has.

    `solved` is recorded in the rows: True for memories, False for the best vectors of unsolved pairs.
    """
    rows: list[dict[str, Any]] = []
    if not memories:
        return rows
    for side, name in enumerate(SIDES):
        prompts = [prompt_vectors(memory.modes[side], memory.vectors, memory.card.layout) for memory in memories]
        longest = max(len(memory.branches[side].ids) for memory in memories) + 4
        for memory, output in zip(memories, greedy_decode(network, prompts, longest, tokenizer.ends), strict=True):
            expected = memory.branches[side].ids
            decoded = output[: len(expected) + 4]
            text = tokenizer.decode([token for token in decoded if token not in tokenizer.ends])
            expected_text = memory.card.question if side == 0 else memory.card.answer
            grades = grade(expected, decoded, expected_text, text, exact=memory.card.exact)
            rows.append(
                {
                    "pair": memory.card.pair,
                    "side": name,
                    "precision": precision,
                    "solved": solved,
                    "expected": expected_text,
                    "decoded": text,
                    "tokens_exact": grades.tokens_exact,
                    "normalised": grades.normalised,
                    "f1": grades.f1,
                    "verdict": grades.verdict,
                }
            )
    return rows

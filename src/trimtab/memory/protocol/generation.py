"""The text that a model generates from memories, compared with their targets."""

from collections.abc import Sequence
from typing import Any

from trimtab.data.tokenizers import Tokenizer
from trimtab.memory.engine.decoding import opening, say
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.pairs import grade
from trimtab.memory.protocol.solving import SIDES
from trimtab.memory.store import Memory


def generation_rows(
    network: FrozenNetwork,
    precision: str,
    memories: Sequence[Memory],
    tokenizer: Tokenizer,
    *,
    solved: bool = True,
) -> list[dict[str, Any]]:
    """A row a memory and side: greedy decoding from the mode and the vectors alone, a few tokens longer than the target.

    `solved` is written into the rows: whether these are memories, or the best vectors of pairs that were not solved.
    """
    rows: list[dict[str, Any]] = []
    if not memories:
        return rows
    for side, name in enumerate(SIDES):
        asked = [opening(memory.modes[side], memory.vectors, memory.card.layout) for memory in memories]
        longest = max(len(memory.branches[side].ids) for memory in memories) + 4
        for memory, said in zip(memories, say(network, asked, longest, tokenizer.ends), strict=True):
            expected = memory.branches[side].ids
            given = said[: len(expected) + 4]
            text = tokenizer.decode([token for token in given if token not in tokenizer.ends])
            wanted = memory.card.question if side == 0 else memory.card.answer
            judged = grade(expected, given, wanted, text, exact=memory.card.exact)
            rows.append(
                {
                    "pair": memory.card.pair,
                    "side": name,
                    "precision": precision,
                    "solved": solved,
                    "expected": wanted,
                    "said": text,
                    "tokens_exact": judged.tokens_exact,
                    "normalised": judged.normalised,
                    "f1": judged.f1,
                    "verdict": judged.verdict,
                }
            )
    return rows

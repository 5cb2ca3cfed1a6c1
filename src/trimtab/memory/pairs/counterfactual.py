"""Pairs that nobody can know: each question with another pair's answer."""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from trimtab.errors import DataError
from trimtab.memory.pairs.pair import Pair
from trimtab.memory.pairs.scoring import comparable
from trimtab.random import derive_seed

SUFFIX = ".counterfactual"
"""What the id of a counterfactual pair ends in."""


def counterfactuals(pairs: Sequence[Pair], seed: int) -> tuple[Pair, ...]:
    """Every pair's question with another pair's answer, in the order of the pairs; each answer is given away once.

    A new answer is none of the accepted answers of the question's own pair, compared as SQuAD normalises them. The seed
    draws a permutation; where it gives a pair an answer that is right, answers change hands along an augmenting path, so
    that the assignment is found wherever there is one. `metadata` gains `counterfactual_of` (the id of the pair) and
    `answer_of` (that of the pair with this answer).

    Raises `DataError` where no such assignment exists, as for pairs that mostly have the same answer.
    """
    given = [comparable(pair.answer, exact=pair.exact) for pair in pairs]
    right = [{comparable(text, exact=pair.exact) for text in (pair.answer, *pair.answers)} for pair in pairs]
    order = list(range(len(pairs)))
    random.Random(derive_seed(seed, "pairs", "counterfactual")).shuffle(order)
    holder: dict[int, int] = {}  # from an answer to the question that holds it
    open_questions = []
    for question, answer in enumerate(order):
        if question != answer and given[answer] not in right[question]:
            holder[answer] = question
        else:
            open_questions.append(question)
    for question in open_questions:
        if not _assigned(question, order, given, right, holder):
            raise DataError(
                f"No counterfactual answers can be given to these {len(pairs):,} pairs: too many accept the same answer, such "
                f"as {pairs[question].answer[:60]!r} (pair {pairs[question].id}). Take more pairs, or such with different "
                "answers."
            )
    answer_of = {question: answer for answer, question in holder.items()}
    return tuple(_changed(pair, pairs[answer_of[index]]) for index, pair in enumerate(pairs))


def _assigned(
    question: int, order: Sequence[int], given: Sequence[str], right: Sequence[set[str]], holder: dict[int, int]
) -> bool:
    """Give a question an answer, breadth-first along an augmenting path (Berge 1957); False where there is no path."""
    reached: dict[int, int] = {}  # from an answer to the question that may take it
    waiting = deque([question])
    while waiting:
        asking = waiting.popleft()
        for answer in order:
            if answer in reached or answer == asking or given[answer] in right[asking]:
                continue
            reached[answer] = asking
            if answer in holder:
                waiting.append(holder[answer])
                continue
            previous = {held_by: held for held, held_by in holder.items()}
            free: int | None = answer
            while free is not None:
                taker = reached[free]
                holder[free] = taker
                free = previous.get(taker)
            return True
    return False


def _changed(pair: Pair, other: Pair) -> Pair:
    metadata = {**pair.metadata, "counterfactual_of": pair.id, "answer_of": other.id}
    return replace(pair, id=pair.id + SUFFIX, answer=other.answer, answers=(other.answer,), metadata=metadata)

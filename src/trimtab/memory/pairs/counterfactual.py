"""Counterfactual pairs: each question with another pair's answer, which no model can know."""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from trimtab.errors import DataError
from trimtab.memory.pairs.pair import Pair
from trimtab.memory.pairs.scoring import normalised_text
from trimtab.random import derive_seed

SUFFIX = ".counterfactual"
"""The ending of a counterfactual pair's id."""


def counterfactuals(pairs: Sequence[Pair], seed: int) -> tuple[Pair, ...]:
    """Every pair's question with another pair's answer, in the order of the pairs; each answer is used once.

    A new answer is never an accepted answer of the question's own pair (compared with `normalised_text`). The seed draws a
    permutation; where it gives a pair a correct answer, answers are exchanged along an augmenting path, which finds an assignment
    if there is one. `metadata` gains `counterfactual_of` (the id of the pair) and `answer_of` (the id of the answer's pair).

    Raises `DataError` if no such assignment exists, for example if most pairs have the same answer.
    """
    answers = [normalised_text(pair.answer, exact=pair.exact) for pair in pairs]
    accepted = [{normalised_text(text, exact=pair.exact) for text in (pair.answer, *pair.answers)} for pair in pairs]
    order = list(range(len(pairs)))
    random.Random(derive_seed(seed, "pairs", "counterfactual")).shuffle(order)
    holder: dict[int, int] = {}  # from an answer to the question that holds it
    open_questions = []
    for question, answer in enumerate(order):
        if question != answer and answers[answer] not in accepted[question]:
            holder[answer] = question
        else:
            open_questions.append(question)
    for question in open_questions:
        if not _assigned(question, order, answers, accepted, holder):
            raise DataError(
                f"These {len(pairs):,} pairs cannot get counterfactual answers: too many accept the same answer, such as "
                f"{pairs[question].answer[:60]!r} (pair {pairs[question].id}). Use more pairs, or pairs with different "
                "answers."
            )
    answer_of = {question: answer for answer, question in holder.items()}
    return tuple(_changed(pair, pairs[answer_of[index]]) for index, pair in enumerate(pairs))


def _assigned(
    question: int, order: Sequence[int], answers: Sequence[str], accepted: Sequence[set[str]], holder: dict[int, int]
) -> bool:
    """Assign an answer to a question along an augmenting path (Berge 1957), found breadth-first; False if there is none."""
    reached: dict[int, int] = {}  # from an answer to the question that may take it
    waiting = deque([question])
    while waiting:
        current = waiting.popleft()
        for answer in order:
            if answer in reached or answer == current or answers[answer] in accepted[current]:
                continue
            reached[answer] = current
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

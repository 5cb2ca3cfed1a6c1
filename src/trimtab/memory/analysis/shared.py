"""Helpers for analyses of several memories of one run."""

from collections.abc import Sequence

import torch

from trimtab.memory.engine.layout import Layout
from trimtab.memory.engine.losses import Modes
from trimtab.memory.store import Memory


def shared_modes_and_layout(memories: Sequence[Memory]) -> tuple[Modes, Layout]:
    """The modes and the layout of memories of one run.

    Raises:
        ValueError: there is no memory, or two have different modes or layouts.
    """
    if not memories:
        raise ValueError("there is no memory to analyse")
    first = memories[0]
    for memory in memories[1:]:
        same = all(torch.equal(own, other) for own, other in zip(memory.modes, first.modes, strict=True))
        if not same or memory.card.layout != first.card.layout:
            raise ValueError(
                f"the memories of {first.card.pair} and {memory.card.pair} have different modes or layouts, so they are not "
                "from one run"
            )
    return first.modes, first.card.layout


def neighbours(memories: Sequence[Memory]) -> list[Memory | None]:
    """For each memory, the next one (cyclically) whose question and answer both differ from its own; None if there is none."""
    result: list[Memory | None] = []
    for index, memory in enumerate(memories):
        others = [*memories[index + 1 :], *memories[:index]]
        result.append(next((other for other in others if _differ(memory, other)), None))
    return result


def _differ(one: Memory, other: Memory) -> bool:
    return one.card.question_ids != other.card.question_ids and one.card.answer_ids != other.card.answer_ids


def one_per_pair(memories: Sequence[Memory]) -> list[Memory]:
    """The first memory of every pair, in order, because restarts of one pair are not independent evidence."""
    first: dict[str, Memory] = {}
    for memory in memories:
        first.setdefault(memory.card.pair, memory)
    return list(first.values())

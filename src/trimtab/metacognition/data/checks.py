"""Checks of problems with thoughts before a run: each has a thought, an answer that ends, and fits the context."""

import numpy as np

from trimtab.data.problem import Split
from trimtab.errors import DataError
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.data.problem import ThoughtProblem


def check_lengths(dataset: ThoughtDataset, name: str, part: Split, context: int) -> int:
    """The number of tokens of the problems. Raises `DataError` for one without a thought, or that does not fit the context."""
    tokens = 0
    for problem in dataset.problems:
        if not isinstance(problem, ThoughtProblem):
            raise DataError(
                f"The problems of the task {name} have no thoughts. Use a task with thoughts (routes, arithmetic, logic), or "
                "`data: {name: task, ...}`."
            )
        length = dataset.length(problem)
        tokens += length if dataset.limit is None else min(length, dataset.limit + 1)
        if np.count_nonzero(dataset.answer_ids(problem.answer) == dataset.end) > 1:
            raise DataError(
                f"A {part} answer of {name} contains {dataset.tokenizer.decode([dataset.end])!r}, with which the tokenizer "
                f"{dataset.tokenizer.name} ends answers: {problem.answer[:80]!r}. Use a tokenizer with an end token of its own, "
                "or answers without it (the task traces has `line_break`)."
            )
        if length > context + 1 and dataset.limit is None:
            raise DataError(
                f"A {part} problem of {name} has {length} tokens with its thought, but `data.context` {context} allows at most "
                f"{context + 1}: {problem.prompt[:80]!r}. Set a larger context, or an easier level."
            )
    return tokens

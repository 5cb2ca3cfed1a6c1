"""The order of memory vectors, modes and target tokens in the sequences that a candidate gives to the model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

Layout = Literal["two_sequences", "shared_prefix"]
"""`two_sequences`: [mode, c, target], one sequence per branch. `shared_prefix`: c once, then [mode, target] of every branch,
which attends to c and itself."""

NONE = -1
"""Marks a position that holds no token, no mode row or no vector."""


@dataclass(frozen=True)
class Branch:
    """A target text for a candidate's vectors.

    `mode` is 0 (question), 1 (answer), or None for a text that follows the vectors without a mode. `ids` are the target tokens,
    the end token last. `weight` is the branch's factor in the objective Σ weight · mean NLL of its tokens. A branch that is not
    `judged` (a paraphrase) contributes to the objective but does not decide whether a candidate is solved, because one mode can
    only produce one text.
    """

    mode: int | None
    ids: tuple[int, ...]
    weight: float = 1.0
    judged: bool = True


@dataclass(frozen=True, eq=False)
class Segment:
    """A sequence of positions with causal attention, within each branch and the shared prefix.

    Per position: `tokens` (a token id), `modes` (a row of the stacked modes) and `vectors` (the index of a memory vector), two of
    which are NONE; `position_ids`, the position that the model receives; and `branch`, 0 for the shared prefix, else the number
    of a branch. Per target: `predictors`, the position that predicts it; `targets`, its token; `weights`, its factor in the
    objective; `target_branches`, its branch; `judged`, whether that branch is judged.
    """

    tokens: Int[np.ndarray, " length"]
    modes: Int[np.ndarray, " length"]
    vectors: Int[np.ndarray, " length"]
    position_ids: Int[np.ndarray, " length"]
    branch: Int[np.ndarray, " length"]
    predictors: Int[np.ndarray, " targets"]
    targets: Int[np.ndarray, " targets"]
    weights: np.ndarray
    target_branches: Int[np.ndarray, " targets"]
    judged: Bool[np.ndarray, " targets"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def forked(self) -> bool:
        """Whether it has branches that must not attend to each other."""
        return bool(self.branch.max(initial=0) > 1)


def segments(
    branches: tuple[Branch, ...], vectors: int, mode_rows: tuple[int, int], layout: Layout
) -> tuple[Segment, ...]:
    """The segments of a candidate with `vectors` memory vectors; `mode_rows` counts the rows of each mode.

    Raises:
        ValueError: there is no vector, no branch, or a branch without tokens.
    """
    if vectors < 1 or not branches or any(not branch.ids for branch in branches):
        raise ValueError(
            "a candidate needs at least one vector, at least one branch, and at least one token in every branch"
        )
    if layout == "two_sequences":
        return tuple(
            _segment([(_modes(branch.mode, mode_rows), _range(vectors), (branch, number))], prefix=0)
            for number, branch in enumerate(branches)
        )
    parts = [(_modes(branch.mode, mode_rows), _range(0), (branch, number)) for number, branch in enumerate(branches)]
    return (_segment(parts, prefix=vectors),)


def _segment(parts: list[tuple[np.ndarray, np.ndarray, tuple[Branch, int]]], prefix: int) -> Segment:
    none = np.full(prefix, NONE)
    columns: list[list[np.ndarray]] = [[none], [none], [_range(prefix)], [_range(prefix)], [np.zeros(prefix, int)]]
    predictors, targets, weights, target_branches, judged = [], [], [], [], []
    start = prefix
    for number, (modes, vectors, (branch, index)) in enumerate(parts, 1):
        ids = np.array(branch.ids)
        prompt = len(modes) + len(vectors)
        length = prompt + len(ids) - 1
        columns[0].append(np.concatenate((np.full(prompt, NONE), ids[:-1])))
        columns[1].append(np.concatenate((modes, np.full(length - len(modes), NONE))))
        columns[2].append(np.concatenate((np.full(len(modes), NONE), vectors, np.full(len(ids) - 1, NONE))))
        columns[3].append(prefix + _range(length))
        columns[4].append(np.full(length, number))
        # the first target is predicted by the last position of the prompt, or of the prefix where there is no prompt
        first = start + prompt - 1 if prompt else prefix - 1
        predictors.append(np.concatenate(([first], start + prompt + _range(len(ids) - 1))))
        targets.append(ids)
        weights.append(np.full(len(ids), branch.weight / len(ids)))
        target_branches.append(np.full(len(ids), index))
        judged.append(np.full(len(ids), branch.judged))
        start += length
    of_targets = (np.concatenate(rows) for rows in (predictors, targets, weights, target_branches, judged))
    return Segment(*(np.concatenate(column) for column in columns), *of_targets)


def _modes(mode: int | None, rows: tuple[int, int]) -> np.ndarray:
    if mode is None:
        return _range(0)
    start = 0 if mode == 0 else rows[0]
    return np.arange(start, start + rows[mode])


def _range(length: int) -> np.ndarray:
    return np.arange(length)

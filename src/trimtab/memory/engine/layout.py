"""Where memory vectors, modes and target tokens stand: the rows that a candidate asks a model to read."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

Layout = Literal["two_sequences", "shared_prefix"]
"""`two_sequences`: [mode, c, target], one sequence a branch. `shared_prefix`: c once, then [mode, target] of every branch,
each of which sees c and itself."""

NONE = -1
"""Stands where a position holds no token, no mode row or no vector."""


@dataclass(frozen=True)
class Branch:
    """A text that a candidate's vectors have to make the model say.

    `mode` is 0 (question), 1 (answer), or None where the text follows the vectors without a mode; `ids` the target tokens with
    the end token last, `weight` the branch's share in the objective Σ weight · mean NLL of its tokens. One that is not `judged`
    (another wording) pulls on the vectors, and need not be said: a mode says one text.
    """

    mode: int | None
    ids: tuple[int, ...]
    weight: float = 1.0
    judged: bool = True


@dataclass(frozen=True, eq=False)
class Segment:
    """A sequence of positions that see each other causally, within their branch and the prefix.

    Of each position: `tokens` (a token id), `modes` (a row of the stacked modes) and `vectors` (the number of a memory vector),
    two of which are NONE; `places` the position index that the model receives; `branch` 0 for the prefix that all see, else the
    number of a branch. Of each target: `asked` the position that predicts it, `targets` its token, `weights` its factor in the
    objective, `of_branch` which of the candidate's branches it belongs to, `judged` whether that one is.
    """

    tokens: Int[np.ndarray, " length"]
    modes: Int[np.ndarray, " length"]
    vectors: Int[np.ndarray, " length"]
    places: Int[np.ndarray, " length"]
    branch: Int[np.ndarray, " length"]
    asked: Int[np.ndarray, " targets"]
    targets: Int[np.ndarray, " targets"]
    weights: np.ndarray
    of_branch: Int[np.ndarray, " targets"]
    judged: Bool[np.ndarray, " targets"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def forked(self) -> bool:
        """Whether it has branches that must not see each other."""
        return bool(self.branch.max(initial=0) > 1)


def segments(
    branches: tuple[Branch, ...], vectors: int, mode_rows: tuple[int, int], layout: Layout
) -> tuple[Segment, ...]:
    """The segments of a candidate with `vectors` memory vectors; `mode_rows` counts the rows of each mode.

    Raises:
        ValueError: no vector, no branch, or a branch without a token.
    """
    if vectors < 1 or not branches or any(not branch.ids for branch in branches):
        raise ValueError("a candidate needs one vector, one branch, and one token in every branch, at least")
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
    asked, targets, weights, of_branch, judged = [], [], [], [], []
    start = prefix
    for number, (modes, vectors, (branch, index)) in enumerate(parts, 1):
        said = np.array(branch.ids)
        opening = len(modes) + len(vectors)
        length = opening + len(said) - 1
        columns[0].append(np.concatenate((np.full(opening, NONE), said[:-1])))
        columns[1].append(np.concatenate((modes, np.full(length - len(modes), NONE))))
        columns[2].append(np.concatenate((np.full(len(modes), NONE), vectors, np.full(len(said) - 1, NONE))))
        columns[3].append(prefix + _range(length))
        columns[4].append(np.full(length, number))
        before = (
            start + opening - 1 if opening else prefix - 1
        )  # without an opening, the prefix's last position predicts
        asked.append(np.concatenate(([before], start + opening + _range(len(said) - 1))))
        targets.append(said)
        weights.append(np.full(len(said), branch.weight / len(said)))
        of_branch.append(np.full(len(said), index))
        judged.append(np.full(len(said), branch.judged))
        start += length
    ends = (np.concatenate(found) for found in (asked, targets, weights, of_branch, judged))
    return Segment(*(np.concatenate(column) for column in columns), *ends)


def _modes(mode: int | None, rows: tuple[int, int]) -> np.ndarray:
    if mode is None:
        return _range(0)
    start = 0 if mode == 0 else rows[0]
    return np.arange(start, start + rows[mode])


def _range(length: int) -> np.ndarray:
    return np.arange(length)

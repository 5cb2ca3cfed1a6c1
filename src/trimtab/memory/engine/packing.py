"""Segments of many candidates side by side in one row of positions, without padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.memory.engine.layout import NONE, Segment

_GROUP = 16
"""Segments that attend in one batched product at most."""
_WASTE = 1.15
"""A group is closed before its longest segment makes it this much larger than its segments together."""


@dataclass(frozen=True, eq=False)
class Group:
    """Segments whose attention is computed together: `count` rows of `length` positions; `hidden` is true where a query must
    not look."""

    count: int
    length: int
    hidden: Bool[Tensor, "rows 1 1 length length"]


@dataclass(frozen=True, eq=False)
class Packing:
    """A batch of segments as one row of `positions`.

    `token_places`, `mode_places` and `vector_places` are the positions that hold tokens (`tokens`), mode rows (`mode_rows`) and
    memory vectors (`vector_rows`: rows of all candidates' vectors stacked). `asked` are the positions that predict `targets`,
    `weights` their factors; `target_rows` and `target_branches` say to which candidate and branch a target belongs, `judged`
    whether that branch is.
    `spread` brings positions into the groups' order, where places are `padded` (they repeat a position); `gathered` brings
    them back.
    """

    positions: int
    token_places: Int[Tensor, " t"]
    tokens: Int[Tensor, " t"]
    mode_places: Int[Tensor, " m"]
    mode_rows: Int[Tensor, " m"]
    vector_places: Int[Tensor, " v"]
    vector_rows: Int[Tensor, " v"]
    places: Int[Tensor, "1 positions"]
    asked: Int[Tensor, " targets"]
    targets: Int[Tensor, " targets"]
    weights: Float[Tensor, " targets"]
    target_rows: Int[Tensor, " targets"]
    target_branches: Int[Tensor, " targets"]
    judged: Bool[Tensor, " targets"]
    groups: tuple[Group, ...]
    spread: Int[Tensor, " spread"]
    gathered: Int[Tensor, " positions"]
    padded: Int[Tensor, " padded"]


def pack(candidates: Sequence[Sequence[Segment]], vectors: int, device: torch.device | str = "cpu") -> Packing:
    """Pack the segments of candidates that have `vectors` memory vectors each; a candidate's row is its place in the list."""
    rows = [(row, segment) for row, own in enumerate(candidates) for segment in own]
    starts = np.cumsum([0, *(len(segment) for _, segment in rows)])
    joined = {
        name: np.concatenate([getattr(segment, name) for _, segment in rows])
        for name in ("tokens", "modes", "vectors", "places", "targets", "weights", "of_branch", "judged")
    }
    owner = np.concatenate([np.full(len(segment), row) for row, segment in rows])
    holds = {name: np.flatnonzero(joined[name] != NONE) for name in ("tokens", "modes", "vectors")}
    asked = np.concatenate([start + segment.asked for start, (_, segment) in zip(starts, rows, strict=False)])
    target_rows = np.concatenate([np.full(len(segment.targets), row) for row, segment in rows])
    groups, spread = _grouped([segment for _, segment in rows], starts, device)
    gathered = np.unique(spread, return_index=True)[1]  # the first place of a position; further ones are padding
    padded = np.setdiff1d(np.arange(len(spread)), gathered)

    def tensor(values: np.ndarray, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.as_tensor(values, dtype=dtype).to(device)

    return Packing(
        positions=int(starts[-1]),
        token_places=tensor(holds["tokens"]),
        tokens=tensor(joined["tokens"][holds["tokens"]]),
        mode_places=tensor(holds["modes"]),
        mode_rows=tensor(joined["modes"][holds["modes"]]),
        vector_places=tensor(holds["vectors"]),
        vector_rows=tensor(owner[holds["vectors"]] * vectors + joined["vectors"][holds["vectors"]]),
        places=tensor(joined["places"])[None],
        asked=tensor(asked),
        targets=tensor(joined["targets"]),
        weights=tensor(joined["weights"], torch.float64),
        target_rows=tensor(target_rows),
        target_branches=tensor(joined["of_branch"]),
        judged=tensor(joined["judged"], torch.bool),
        groups=groups,
        spread=tensor(spread),
        gathered=tensor(gathered),
        padded=tensor(padded),
    )


def _grouped(
    segments: Sequence[Segment], starts: np.ndarray, device: torch.device | str
) -> tuple[tuple[Group, ...], np.ndarray]:
    """The groups, and the position that stands at every place of theirs."""
    order = sorted(range(len(segments)), key=lambda index: len(segments[index]))
    taken: list[list[int]] = []
    for index in order:
        here = taken[-1] if taken else []
        length, total = len(segments[index]), sum(len(segments[other]) for other in here)
        if here and len(here) < _GROUP and (len(here) + 1) * length <= _WASTE * (total + length):
            here.append(index)
        else:
            taken.append([index])
    groups, spread = [], []
    for members in taken:
        length = max(len(segments[index]) for index in members)
        hidden = np.triu(np.ones((len(members), length, length), bool), 1)
        for row, index in enumerate(members):
            segment, start = segments[index], int(starts[index])
            place = np.full(length, start)
            place[: len(segment)] = start + np.arange(len(segment))
            spread.append(place)
            if segment.forked:
                own = segment.branch
                apart = (own[:, None] != own[None, :]) & (own[None, :] != 0)
                hidden[row, : len(segment), : len(segment)] |= apart
        groups.append(Group(len(members), length, torch.from_numpy(hidden)[:, None, None].to(device)))
    return tuple(groups), np.concatenate(spread)

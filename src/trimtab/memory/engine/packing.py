"""Packing: the segments of many candidates in one row of positions, without padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trimtab.memory.engine.layout import NONE, Segment

_GROUP = 16
"""The largest number of segments whose attention is computed in one batched product."""
_WASTE = 1.15
"""How much larger a group may be, padded to its longest segment, than its segments together."""


@dataclass(frozen=True, eq=False)
class Group:
    """Segments whose attention is computed together: `count` rows of `length` positions.

    `hidden` is true where a query must not attend.
    """

    count: int
    length: int
    hidden: Bool[Tensor, "rows 1 1 length length"]


@dataclass(frozen=True, eq=False)
class Packing:
    """A batch of segments as one row of `positions`.

    Inputs: `token_places`, `mode_places` and `vector_places` are the positions that hold tokens (ids in `tokens`), mode rows
    (indices in `mode_rows`) and memory vectors (`vector_rows`, indices into all candidates' vectors stacked). `position_ids` is
    what the model receives as positions.

    Targets: `predictors` are the positions that predict `targets`, and `weights` the targets' factors in the objective.
    `target_rows` and `target_branches` are the candidate and the branch of a target, `judged` says whether that branch is
    judged.

    Attention: `to_groups` reorders positions into the groups, `from_groups` reorders them back. The groups' places in `padded`
    repeat a position.
    """

    positions: int
    token_places: Int[Tensor, " t"]
    tokens: Int[Tensor, " t"]
    mode_places: Int[Tensor, " m"]
    mode_rows: Int[Tensor, " m"]
    vector_places: Int[Tensor, " v"]
    vector_rows: Int[Tensor, " v"]
    position_ids: Int[Tensor, "1 positions"]
    predictors: Int[Tensor, " targets"]
    targets: Int[Tensor, " targets"]
    weights: Float[Tensor, " targets"]
    target_rows: Int[Tensor, " targets"]
    target_branches: Int[Tensor, " targets"]
    judged: Bool[Tensor, " targets"]
    groups: tuple[Group, ...]
    to_groups: Int[Tensor, " places"]
    from_groups: Int[Tensor, " positions"]
    padded: Int[Tensor, " padded"]


def pack(candidates: Sequence[Sequence[Segment]], vectors: int, device: torch.device | str = "cpu") -> Packing:
    """Pack the segments of candidates that have `vectors` memory vectors each; a candidate's row is its index in the list."""
    rows = [(row, segment) for row, own in enumerate(candidates) for segment in own]
    starts = np.cumsum([0, *(len(segment) for _, segment in rows)])
    joined = {
        name: np.concatenate([getattr(segment, name) for _, segment in rows])
        for name in ("tokens", "modes", "vectors", "position_ids", "targets", "weights", "target_branches", "judged")
    }
    owner = np.concatenate([np.full(len(segment), row) for row, segment in rows])
    filled = {name: np.flatnonzero(joined[name] != NONE) for name in ("tokens", "modes", "vectors")}
    predictors = np.concatenate([start + segment.predictors for start, (_, segment) in zip(starts, rows, strict=False)])
    target_rows = np.concatenate([np.full(len(segment.targets), row) for row, segment in rows])
    groups, to_groups = _group([segment for _, segment in rows], starts, device)
    from_groups = np.unique(to_groups, return_index=True)[1]  # the first place of a position; later ones are padding
    padded = np.setdiff1d(np.arange(len(to_groups)), from_groups)

    def tensor(values: np.ndarray, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.as_tensor(values, dtype=dtype).to(device)

    return Packing(
        positions=int(starts[-1]),
        token_places=tensor(filled["tokens"]),
        tokens=tensor(joined["tokens"][filled["tokens"]]),
        mode_places=tensor(filled["modes"]),
        mode_rows=tensor(joined["modes"][filled["modes"]]),
        vector_places=tensor(filled["vectors"]),
        vector_rows=tensor(owner[filled["vectors"]] * vectors + joined["vectors"][filled["vectors"]]),
        position_ids=tensor(joined["position_ids"])[None],
        predictors=tensor(predictors),
        targets=tensor(joined["targets"]),
        weights=tensor(joined["weights"], torch.float64),
        target_rows=tensor(target_rows),
        target_branches=tensor(joined["target_branches"]),
        judged=tensor(joined["judged"], torch.bool),
        groups=groups,
        to_groups=tensor(to_groups),
        from_groups=tensor(from_groups),
        padded=tensor(padded),
    )


def _group(
    segments: Sequence[Segment], starts: np.ndarray, device: torch.device | str
) -> tuple[tuple[Group, ...], np.ndarray]:
    """The groups, and the position at each of their places."""
    order = sorted(range(len(segments)), key=lambda index: len(segments[index]))
    batches: list[list[int]] = []
    for index in order:
        current = batches[-1] if batches else []
        length, total = len(segments[index]), sum(len(segments[other]) for other in current)
        if current and len(current) < _GROUP and (len(current) + 1) * length <= _WASTE * (total + length):
            current.append(index)
        else:
            batches.append([index])
    groups, places = [], []
    for members in batches:
        length = max(len(segments[index]) for index in members)
        hidden = np.triu(np.ones((len(members), length, length), bool), 1)
        for row, index in enumerate(members):
            segment, start = segments[index], int(starts[index])
            place = np.full(length, start)
            place[: len(segment)] = start + np.arange(len(segment))
            places.append(place)
            if segment.forked:
                own = segment.branch
                apart = (own[:, None] != own[None, :]) & (own[None, :] != 0)
                hidden[row, : len(segment), : len(segment)] |= apart
        groups.append(Group(len(members), length, torch.from_numpy(hidden)[:, None, None].to(device)))
    return tuple(groups), np.concatenate(places)

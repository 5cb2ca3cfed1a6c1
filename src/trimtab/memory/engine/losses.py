"""What texts cost under given vectors: many variants of vectors in one forward pass, without gradients."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trimtab.memory.engine.layout import Branch, Layout, Segment, segments
from trimtab.memory.engine.network import FrozenNetwork, branch_losses
from trimtab.memory.engine.packing import pack

Modes = tuple[Float[Tensor, "q d"], Float[Tensor, "a d"]]
"""The rows of the question mode and of the answer mode."""

Candidate = tuple[Float[Tensor, "_ d"], Sequence[Branch]]
"""Vectors, and the texts that are measured under them."""

Look = Callable[[int, int], None]
"""Called between blocks of work with how much of how much is done; it may raise."""


def unseen(done: int, total: int) -> None:
    """Looks at nothing."""


@dataclass(frozen=True)
class Measured:
    """What was measured under one candidate's vectors, an entry a branch.

    `losses` are mean NLLs in nats a token, `nll` their sums over the branch's tokens in nats, `margins` the smallest logit
    margin of the branch's tokens. All are of the text given: each token is predicted from the text's own tokens before it.
    """

    losses: tuple[float, ...]
    margins: tuple[float, ...]
    nll: tuple[float, ...]

    @property
    def margin(self) -> float:
        """The smallest margin of all branches."""
        return min(self.margins)


@dataclass(frozen=True, eq=False)
class _Asked:
    index: int
    vectors: Tensor
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return sum(map(len, self.segments))


@torch.no_grad()
def measure(
    network: FrozenNetwork,
    modes: Modes,
    candidates: Sequence[Candidate],
    layout: Layout,
    positions: int = 1024,
    look: Look = unseen,
) -> list[Measured]:
    """What each candidate's branches cost, in the order of the candidates.

    Vectors stand in place of embeddings, so any row of embeddings may be `vectors`: those of real tokens as a context, or one
    of a start token for the model's prior (with a branch that has no mode). Candidates may have different numbers of vectors;
    those with one number are packed in their order, at most `positions` at once (a larger candidate alone), so the same call
    gives the same bits. Where CUDA's memory runs out, half as many are tried.

    Raises:
        ValueError: a candidate without a vector or a branch, or a branch without a token.
    """
    rows = (len(modes[0]), len(modes[1]))
    stacked = torch.cat(modes).to(network.device)
    asked = [
        _Asked(index, vectors, segments(tuple(branches), len(vectors), rows, layout))
        for index, (vectors, branches) in enumerate(candidates)
    ]
    found: dict[int, Measured] = {}
    for count in dict.fromkeys(len(one.vectors) for one in asked):
        for chunk in _chunks([one for one in asked if len(one.vectors) == count], positions):
            found.update(_measured(network, stacked, chunk))
            look(len(found), len(asked))
    return [found[index] for index in range(len(asked))]


def _chunks(asked: Sequence[_Asked], positions: int) -> Iterator[list[_Asked]]:
    chunk: list[_Asked] = []
    size = 0
    for one in asked:
        if chunk and size + one.size > positions:
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += one.size
    if chunk:
        yield chunk


def _measured(network: FrozenNetwork, modes: Tensor, chunk: list[_Asked]) -> dict[int, Measured]:
    try:
        return _read(network, modes, chunk)
    except torch.cuda.OutOfMemoryError:
        if len(chunk) == 1:
            raise
    torch.cuda.empty_cache()
    half = len(chunk) // 2
    return _measured(network, modes, chunk[:half]) | _measured(network, modes, chunk[half:])


def _read(network: FrozenNetwork, modes: Tensor, chunk: list[_Asked]) -> dict[int, Measured]:
    vectors = torch.stack([one.vectors.to(network.device, network.dtype) for one in chunk])
    packing = pack([one.segments for one in chunk], vectors.shape[1], network.device)
    hidden = network.read(packing, network.inputs(packing, modes, vectors))
    cost, _ = network.cost(packing, hidden, gradient=False)
    most = int(packing.target_branches.max()) + 1
    place = packing.target_rows * most + packing.target_branches
    margin = cost.margin.new_full((len(chunk) * most,), float("inf")).scatter_reduce_(0, place, cost.margin, "amin")
    tokens = torch.bincount(place, minlength=len(chunk) * most).view(len(chunk), most)
    losses = branch_losses(packing, cost, len(chunk), most)
    found = {}
    for row, one in enumerate(chunk):
        own = int((tokens[row] > 0).sum())
        columns = (losses[row], margin.view(len(chunk), most)[row], losses[row] * tokens[row])
        found[one.index] = Measured(*(tuple(column[:own].tolist()) for column in columns))
    return found

"""Losses of texts under given vectors, for many sets of vectors in one forward pass, without gradients."""

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

Variant = tuple[Float[Tensor, "_ d"], Sequence[Branch]]
"""Vectors, and the texts whose losses under them are computed."""

Progress = Callable[[int, int], None]
"""Called between blocks of work with (done, total); it may raise to stop the work."""


def no_progress(done: int, total: int) -> None:
    """Ignores progress."""


@dataclass(frozen=True)
class VectorLosses:
    """Losses under one set of vectors, one entry per branch.

    `losses` are mean NLLs in nats per token, `nll` the sums over a branch's tokens in nats, `margins` the smallest logit margin
    over a branch's tokens. All use teacher forcing: each token is predicted from the target's own tokens before it.
    """

    losses: tuple[float, ...]
    margins: tuple[float, ...]
    nll: tuple[float, ...]

    @property
    def margin(self) -> float:
        """The smallest margin of all branches."""
        return min(self.margins)


@dataclass(frozen=True, eq=False)
class _Request:
    index: int
    vectors: Tensor
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return sum(map(len, self.segments))


@torch.no_grad()
def losses_under_vectors(
    network: FrozenNetwork,
    modes: Modes,
    variants: Sequence[Variant],
    layout: Layout,
    positions: int = 1024,
    progress: Progress = no_progress,
) -> list[VectorLosses]:
    """The losses of each variant's branches, in the order of the variants.

    The model reads vectors in place of embeddings, so embeddings of real tokens can serve as `vectors` too: as a context, or, for
    the model's prior, that of a start token with a branch without a mode. Variants may have different numbers of vectors;
    variants with the same number are packed in their order, at most `positions` at once (a larger variant alone), so the same
    call gives the same bits. When CUDA runs out of memory, half as many are packed.

    Raises:
        ValueError: a variant without a vector or a branch, or a branch without tokens.
    """
    rows = (len(modes[0]), len(modes[1]))
    stacked = torch.cat(modes).to(network.device)
    requests = [
        _Request(index, vectors, segments(tuple(branches), len(vectors), rows, layout))
        for index, (vectors, branches) in enumerate(variants)
    ]
    results: dict[int, VectorLosses] = {}
    for count in dict.fromkeys(len(request.vectors) for request in requests):
        for chunk in _chunks([request for request in requests if len(request.vectors) == count], positions):
            results.update(_chunk_losses(network, stacked, chunk))
            progress(len(results), len(requests))
    return [results[index] for index in range(len(requests))]


def _chunks(requests: Sequence[_Request], positions: int) -> Iterator[list[_Request]]:
    chunk: list[_Request] = []
    size = 0
    for request in requests:
        if chunk and size + request.size > positions:
            yield chunk
            chunk, size = [], 0
        chunk.append(request)
        size += request.size
    if chunk:
        yield chunk


def _chunk_losses(network: FrozenNetwork, modes: Tensor, chunk: list[_Request]) -> dict[int, VectorLosses]:
    try:
        return _read_chunk(network, modes, chunk)
    except torch.cuda.OutOfMemoryError:
        if len(chunk) == 1:
            raise
    torch.cuda.empty_cache()
    half = len(chunk) // 2
    return _chunk_losses(network, modes, chunk[:half]) | _chunk_losses(network, modes, chunk[half:])


def _read_chunk(network: FrozenNetwork, modes: Tensor, chunk: list[_Request]) -> dict[int, VectorLosses]:
    vectors = torch.stack([one.vectors.to(network.device, network.dtype) for one in chunk])
    packing = pack([one.segments for one in chunk], vectors.shape[1], network.device)
    hidden = network.hidden_states(packing, network.inputs(packing, modes, vectors))
    cost, _ = network.cost(packing, hidden, gradient=False)
    branches = int(packing.target_branches.max()) + 1
    place = packing.target_rows * branches + packing.target_branches
    margin = cost.margin.new_full((len(chunk) * branches,), float("inf")).scatter_reduce_(0, place, cost.margin, "amin")
    tokens = torch.bincount(place, minlength=len(chunk) * branches).view(len(chunk), branches)
    losses = branch_losses(packing, cost, len(chunk), branches)
    results = {}
    for row, request in enumerate(chunk):
        count = int((tokens[row] > 0).sum())
        columns = (losses[row], margin.view(len(chunk), branches)[row], losses[row] * tokens[row])
        results[request.index] = VectorLosses(*(tuple(column[:count].tolist()) for column in columns))
    return results

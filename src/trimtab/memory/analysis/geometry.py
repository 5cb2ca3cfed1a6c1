"""Geometry of memories: norms, the tokens nearest to their vectors, and similarities between memories."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from trimtab.memory.analysis.shared import one_per_pair, shared_modes_and_layout
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.store import Memory

_ROWS = 128
"""How many vectors are compared with the whole vocabulary at once."""


def geometry(
    network: FrozenNetwork, memories: Sequence[Memory], texts: Sequence[str], compared: int = 40
) -> dict[str, Any]:
    """The content of `geometry.json`.

    `norms`: quantiles (0, ¼, ½, ¾, 1) of the Euclidean norms of all memories' vectors and of the vocabulary's embeddings.
    `nearest`: the token whose embedding has the largest cosine with a vector, for every vector of the memories of the first
    `compared` pairs; `texts` are the vocabulary's tokens by id. `between`: mean cosines (see `cosines`) of two memories of one
    pair (`same_pair`, None without restarts) and of two pairs (`other_pair`), both over all memories; of two vectors within one
    memory (`within`, None for one vector); and `distances`, 1 − cosine, between the memories of the first `compared` pairs,
    in cluster order (`order`: average linkage, Sokal & Michener 1958, with optimal leaf ordering).

    Raises:
        ValueError: there is no memory, or the memories are from different runs.
    """
    shared_modes_and_layout(memories)
    first = one_per_pair(memories)[:compared]
    return {
        "norms": {
            "vectors": quantiles(torch.cat([memory.vectors.float() for memory in memories]).norm(dim=1)),
            "vocabulary": quantiles(network.embedding.float().norm(dim=1)),
        },
        "nearest": _nearest(network, first, texts),
        "between": _between(memories, first),
    }


def quantiles(values: Float[Tensor, " n"]) -> list[float]:
    """The quantiles 0, ¼, ½, ¾ and 1, with linear interpolation."""
    return [float(value) for value in np.quantile(values.double().cpu().numpy(), (0.0, 0.25, 0.5, 0.75, 1.0))]


def cosines(memories: Sequence[Float[Tensor, "_ d"]]) -> Float[np.ndarray, "n n"]:
    """The similarity of memories: the mean over k of the cosine between their k-th vectors, over the vectors that both have.

    Vectors are compared by index because their order matters to the model.
    """
    units = [normalize(vectors.double(), dim=1).cpu() for vectors in memories]
    similarity = np.eye(len(units))
    if len({len(own) for own in units}) == 1:
        flat = torch.stack(units).flatten(1)
        similarity = (flat @ flat.t() / len(units[0])).numpy()
    else:
        for row, one in enumerate(units):
            for column, other in enumerate(units[:row]):
                both = min(len(one), len(other))
                similarity[row, column] = similarity[column, row] = float((one[:both] * other[:both]).sum() / both)
    return similarity


def cluster_order(distances: Float[np.ndarray, "n n"]) -> list[int]:
    """The leaf order of the average-linkage tree that puts similar neighbours next to each other."""
    if len(distances) < 3:
        return list(range(len(distances)))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distances, checks=False), method="average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]


def _nearest(network: FrozenNetwork, memories: Sequence[Memory], texts: Sequence[str]) -> list[dict[str, Any]]:
    table = normalize(network.embedding.float(), dim=1)
    places = [(memory.card.pair, number) for memory in memories for number in range(len(memory.vectors))]
    stacked = torch.cat([memory.vectors.float() for memory in memories]).to(table.device)
    nearest = []
    for start in range(0, len(places), _ROWS):
        cosine, token = (normalize(stacked[start : start + _ROWS], dim=1) @ table.t()).max(1)
        nearest += list(zip(cosine.tolist(), token.tolist(), strict=True))
    return [
        # an embedding may have more rows than the tokenizer has tokens
        {
            "pair": pair,
            "vector": number,
            "token": texts[token] if token < len(texts) else f"[{token}]",
            "cosine": cosine,
        }
        for (pair, number), (cosine, token) in zip(places, nearest, strict=True)
    ]


def _between(memories: Sequence[Memory], first: Sequence[Memory]) -> dict[str, Any]:
    similarity = cosines([memory.vectors for memory in memories])
    pairs = np.array([memory.card.pair for memory in memories])
    same = pairs[:, None] == pairs[None, :]
    upper = np.triu(np.ones_like(same), 1)
    distances = np.maximum(0.0, 1.0 - cosines([memory.vectors for memory in first]))
    np.fill_diagonal(distances, 0.0)
    order = cluster_order(distances)
    return {
        "same_pair": _mean(similarity[same & upper]),
        "other_pair": _mean(similarity[~same & upper]),
        "within": _within(memories),
        "distances": distances[np.ix_(order, order)].tolist(),
        "order": [first[place].card.pair for place in order],
    }


def _within(memories: Sequence[Memory]) -> float | None:
    """The mean over memories of the mean cosine between two vectors of a memory."""
    means = []
    for memory in memories:
        units = normalize(memory.vectors.double(), dim=1)
        count = len(units)
        if count > 1:
            means.append((float(units.sum(0).square().sum()) - count) / (count * (count - 1)))
    return _mean(np.array(means))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None

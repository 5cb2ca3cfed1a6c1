"""Hand-computed norms, nearest tokens and distances of a few vectors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.memory.analysis import made
from trimtab.memory.analysis.geometry import cluster_order, cosines, geometry, quantiles
from trimtab.records.memory_measurements import GeometryRecord, MemoryDistances

TEXTS = [f"t{index}" for index in range(60)]  # one fewer than the embedding has rows


def with_vectors(memory, vectors: torch.Tensor, pair: str):
    return replace(memory, vectors=vectors, card=replace(memory.card, pair=pair, vectors=len(vectors)))


@pytest.fixture
def net(folder: Path):
    return made.memories(folder)[0]


@pytest.fixture
def memory(folder: Path):
    return made.memories(folder)[1][0]


def test_nearest_tokens_and_norms_of_hand_made_vectors(net, memory) -> None:
    table = net.embedding
    result = geometry(
        net, [with_vectors(memory, table[[5, 9]] * 3, "a"), with_vectors(memory, table[[60, 7]] * -1, "b")], TEXTS
    )
    assert [(row["pair"], row["vector"]) for row in result["nearest"]] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert [row["token"] for row in result["nearest"][:2]] == ["t5", "t9"]
    assert [row["cosine"] for row in result["nearest"][:2]] == pytest.approx([1.0, 1.0], abs=1e-6)
    units = torch.nn.functional.normalize(table.double(), dim=1)
    assert result["nearest"][3]["cosine"] == pytest.approx(float((units @ -units[7]).max()), abs=1e-6)
    assert result["nearest"][3]["token"] == TEXTS[int((units @ -units[7]).argmax())]
    norms = table.double().norm(dim=1)
    expected = sorted([3 * norms[5], 3 * norms[9], norms[60], norms[7]])
    assert result["norms"]["vectors"][::4] == pytest.approx([float(expected[0]), float(expected[-1])], rel=1e-5)
    assert result["norms"]["vocabulary"] == pytest.approx(np.quantile(norms.numpy(), [0, 0.25, 0.5, 0.75, 1]), rel=1e-5)
    assert quantiles(torch.tensor([0.0, 4.0])) == [0.0, 1.0, 2.0, 3.0, 4.0]
    GeometryRecord.model_validate(result)
    (row,) = geometry(net, [with_vectors(memory, table[60:] * 2, "a")], TEXTS)["nearest"]
    assert row["token"] == "[60]"


def test_cosines_between_and_within_hand_made_memories(net, memory) -> None:
    x, y, z = torch.eye(net.width, dtype=torch.float64)[:3]
    memories = [with_vectors(memory, torch.stack(own), pair) for own, pair in (
        ((x, y), "a"), ((2 * x, z), "a"), ((x + y, y), "b"))]  # fmt: skip
    result = geometry(net, memories, TEXTS)["between"]
    half = 0.5**0.5
    assert result["same_pair"] == pytest.approx(0.5)
    assert result["other_pair"] == pytest.approx(((half + 1) / 2 + half / 2) / 2)
    assert result["within"] == pytest.approx(half / 3) and set(result) == set(MemoryDistances.model_fields)
    assert result["order"] == ["a", "b"]
    assert result["distances"][0] == pytest.approx([0.0, 1 - (half + 1) / 2])
    uneven = cosines([torch.stack((x, y)), torch.stack((y, y, x)), torch.stack((x, z, z))])
    assert uneven[0].tolist() == pytest.approx([1.0, 0.5, 0.5]) and np.array_equal(uneven, uneven.T)
    even = cosines([one.vectors for one in memories])
    assert np.diag(even).tolist() == pytest.approx([1.0] * 3)


def test_clusters_are_adjacent_in_the_order() -> None:
    places = np.array([0.0, 10.0, 0.1, 10.2, 20.0, 0.3])
    order = cluster_order(np.abs(places[:, None] - places[None]))
    assert np.ptp([order.index(index) for index in (0, 2, 5)]) == 2 and abs(order.index(1) - order.index(3)) == 1
    assert cluster_order(np.zeros((2, 2))) == [0, 1] and cluster_order(np.zeros((1, 1))) == [0]


def test_the_geometry_of_real_memories_matches_the_schema(folder: Path) -> None:
    net, memories = made.memories(folder, restarts=2)
    result = geometry(net, memories, TEXTS, compared=3)
    parsed = GeometryRecord.model_validate(result)
    assert len(parsed.between.order) == 3 and len(parsed.nearest) == 3 * 8
    assert parsed.between.same_pair is not None and -1 < parsed.between.same_pair < 1
    table = np.array(parsed.between.distances)
    assert np.allclose(table, table.T) and (np.diag(table) == 0).all()
    alone = GeometryRecord.model_validate(geometry(net, memories[:1], TEXTS))
    assert alone.between.same_pair is None and alone.between.other_pair is None and alone.between.distances == [[0.0]]
    one = with_vectors(memories[0], memories[0].vectors[:1], "a")
    assert geometry(net, [one], TEXTS)["between"]["within"] is None

"""Disturbances by hand, and passes by margins against fresh greedy decodes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.memory.analysis import made
from tests.memory.engine import small
from trimtab.memory.analysis.disturbing import Disturbance, directions, disturbances, disturbed, rounded
from trimtab.memory.analysis.robustness import DOUBTFUL, robustness
from trimtab.memory.analysis.shared import one_a_pair, setting
from trimtab.memory.engine.decoding import opening, say
from trimtab.memory.engine.losses import measure
from trimtab.records.memory_rows import RobustnessRow


def test_rounding_by_hand() -> None:
    vectors = torch.tensor([[7.0, -3.4, 0.6, 0.4], [0.0, 0.0, 0.0, 0.0], [-1.0, 0.55, 0.25, 0.0]])
    expected = [[7.0, -3.0, 1.0, 0.0], [0.0] * 4, [-1.0, 4 / 7, 2 / 7, 0.0]]
    assert torch.allclose(rounded(vectors, 7), torch.tensor(expected))
    assert float((rounded(vectors, 127) - vectors).abs().max()) <= 7 / 127 / 2 + 1e-6
    assert torch.allclose(rounded(rounded(vectors, 7), 7), rounded(vectors, 7))


def test_noise_has_its_share_of_every_vectors_norm_and_one_direction_over_the_levels() -> None:
    vectors = torch.randn(5, 32, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1.0], [2.0], [3.0], [4.0], [5.0]]
    )
    noises = {level: disturbed(vectors, Disturbance("noise", level, 1), 3, "a") - vectors for level in (0.02, 0.2)}
    for level, noise in noises.items():
        assert torch.allclose(noise.norm(dim=1) / vectors.norm(dim=1), torch.full((5,), level), rtol=1e-4)
    assert torch.allclose(noises[0.2] / 10, noises[0.02], atol=1e-5)
    others = [
        disturbed(vectors, Disturbance("noise", 0.2, draw), seed, pair)
        for draw, seed, pair in ((2, 3, "a"), (1, 4, "a"), (1, 3, "b"))
    ]
    assert all(not torch.allclose(other - vectors, noises[0.2], atol=0.1) for other in others)
    state = torch.get_rng_state()
    assert torch.equal(directions(vectors, 5), directions(vectors, 5)) and torch.equal(torch.get_rng_state(), state)
    assert len(disturbances(3)) == 4 * 3 + 2


def test_the_margins_are_above_zero_exactly_where_the_greedy_decode_is_the_target(found) -> None:
    net, memories = found
    seen = set()
    for memory in memories:
        for seed in range(12):
            own = memory.vectors + 0.06 * seed * directions(memory.vectors, seed)
            (one,) = measure(net, memory.modes, [(own, memory.branches)], memory.card.layout)
            for mode, branch, margin in zip(memory.modes, memory.branches, one.margins, strict=True):
                (said,) = say(net, [opening(mode, own, memory.card.layout)], len(branch.ids), [made.END])
                assert (said == branch.ids) == (margin > 0)
                seen.add(margin > 0)
    assert seen == {True, False}


def test_passes_by_margins_are_passes_by_decoding(found) -> None:
    net, memories = found
    assert len(memories) >= 4
    told, decoded = (robustness(None, net, memories, 5, draws=2, verified=count) for count in (0, 10**6))
    assert len(told) == len(memories) * (4 * 2 + 2 + 1)
    for one, other in zip(told, decoded, strict=True):
        assert other["decoded"] and {**one, "decoded": True} == other
        assert one["passed"] == (one["question_exact"] and one["answer_exact"]) == (one["lowest"] > 0)
        assert one["decoded"] == (abs(one["lowest"]) < 0.25)
    assert {row["passed"] for row in told} == {True, False}
    undisturbed = [row for row in told if row["disturbance"] == "fp32"]
    assert all(row["passed"] and row["lowest"] == pytest.approx(row["margin"], abs=1e-9) for row in undisturbed)


def test_rows_are_what_the_report_reads_in_the_order_of_the_memories(found) -> None:
    net, memories = found
    rows = robustness(None, net, memories[::-1], 5, draws=1)
    assert [row["pair"] for row in rows] == [m.card.pair for m in memories[::-1] for _ in range(7)]
    assert [row["disturbance"] for row in rows[:7]] == ["noise"] * 4 + ["int8", "int4", "fp32"]
    assert [RobustnessRow.model_validate(row).level for row in rows[:7]] == [0.02, 0.05, 0.1, 0.2, None, None, None]
    assert rows == robustness(None, net, memories[::-1], 5, draws=1)
    assert all(type(row["passed"]) is bool for row in rows)


def test_in_bf16_with_fp32_beside_it(folder: Path) -> None:
    _, memories = made.memories(folder)
    half = small.network(folder, "llama", dtype=torch.bfloat16)
    full = small.network(folder, "llama", dtype=torch.float32)
    rows = robustness(half, full, memories, 5, draws=1, verified=10**6)
    assert len(rows) == 8 * len(memories) and [row["disturbance"] for row in rows[6:8]] == ["bf16", "fp32"]
    assert all(row["decoded"] for row in rows)
    assert all(row["passed"] == (row["lowest"] > 0) for row in rows if abs(row["lowest"]) >= DOUBTFUL)
    with pytest.raises(ValueError, match="for bf16"):
        robustness(full, None, memories, 5)
    with pytest.raises(ValueError, match="for fp32"):
        robustness(half, half, memories, 5)
    with pytest.raises(ValueError, match="no network"):
        robustness(None, None, memories, 5)


def test_memories_of_two_runs_are_not_looked_at_together(folder: Path) -> None:
    _, memories = made.memories(folder)
    first, second = memories[:2]
    other = replace(second, modes=(second.modes[0] * 2, second.modes[1]))
    with pytest.raises(ValueError, match="not of one run"):
        setting([first, other])
    with pytest.raises(ValueError, match="no memory"):
        setting([])
    assert one_a_pair([first, second, first]) == [first, second]

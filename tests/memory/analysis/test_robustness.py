"""Hand-computed disturbances, and passes by margins compared with greedy decoding."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.memory.analysis import made
from tests.memory.engine import small
from trimtab.memory.analysis.disturbances import Disturbance, disturb, disturbances, gaussian_directions, quantised
from trimtab.memory.analysis.robustness import DOUBTFUL, robustness
from trimtab.memory.analysis.shared import one_per_pair, shared_modes_and_layout
from trimtab.memory.engine.decoding import greedy_decode, prompt_vectors
from trimtab.memory.engine.losses import losses_under_vectors
from trimtab.records.memory_rows import RobustnessRow


def test_quantisation_of_hand_made_vectors() -> None:
    vectors = torch.tensor([[7.0, -3.4, 0.6, 0.4], [0.0, 0.0, 0.0, 0.0], [-1.0, 0.55, 0.25, 0.0]])
    expected = [[7.0, -3.0, 1.0, 0.0], [0.0] * 4, [-1.0, 4 / 7, 2 / 7, 0.0]]
    assert torch.allclose(quantised(vectors, 7), torch.tensor(expected))
    assert float((quantised(vectors, 127) - vectors).abs().max()) <= 7 / 127 / 2 + 1e-6
    assert torch.allclose(quantised(quantised(vectors, 7), 7), quantised(vectors, 7))


def test_noise_is_relative_to_every_vectors_norm_and_has_one_direction_for_all_levels() -> None:
    vectors = torch.randn(5, 32, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1.0], [2.0], [3.0], [4.0], [5.0]]
    )
    noises = {level: disturb(vectors, Disturbance("noise", level, 1), 3, "a") - vectors for level in (0.02, 0.2)}
    for level, noise in noises.items():
        assert torch.allclose(noise.norm(dim=1) / vectors.norm(dim=1), torch.full((5,), level), rtol=1e-4)
    assert torch.allclose(noises[0.2] / 10, noises[0.02], atol=1e-5)
    others = [
        disturb(vectors, Disturbance("noise", 0.2, draw), seed, pair)
        for draw, seed, pair in ((2, 3, "a"), (1, 4, "a"), (1, 3, "b"))
    ]
    assert all(not torch.allclose(other - vectors, noises[0.2], atol=0.1) for other in others)
    state = torch.get_rng_state()
    assert torch.equal(gaussian_directions(vectors, 5), gaussian_directions(vectors, 5)) and torch.equal(
        torch.get_rng_state(), state
    )
    assert len(disturbances(3)) == 4 * 3 + 2


def test_margins_are_above_zero_exactly_if_greedy_decoding_gives_the_target(network_and_memories) -> None:
    net, memories = network_and_memories
    outcomes = set()
    for memory in memories:
        for seed in range(12):
            own = memory.vectors + 0.06 * seed * gaussian_directions(memory.vectors, seed)
            (one,) = losses_under_vectors(net, memory.modes, [(own, memory.branches)], memory.card.layout)
            for mode, branch, margin in zip(memory.modes, memory.branches, one.margins, strict=True):
                (decoded,) = greedy_decode(
                    net, [prompt_vectors(mode, own, memory.card.layout)], len(branch.ids), [made.END]
                )
                assert (decoded == branch.ids) == (margin > 0)
                outcomes.add(margin > 0)
    assert outcomes == {True, False}


def test_passes_by_margins_equal_passes_by_decoding(network_and_memories) -> None:
    net, memories = network_and_memories
    assert len(memories) >= 4
    by_margins, by_decoding = (robustness(None, net, memories, 5, draws=2, verified=count) for count in (0, 10**6))
    assert len(by_margins) == len(memories) * (4 * 2 + 2 + 1)
    for one, other in zip(by_margins, by_decoding, strict=True):
        assert other["decoded"] and {**one, "decoded": True} == other
        assert one["passed"] == (one["question_exact"] and one["answer_exact"]) == (one["lowest"] > 0)
        assert one["decoded"] == (abs(one["lowest"]) < 0.25)
    assert {row["passed"] for row in by_margins} == {True, False}
    undisturbed = [row for row in by_margins if row["disturbance"] == "fp32"]
    assert all(row["passed"] and row["lowest"] == pytest.approx(row["margin"], abs=1e-9) for row in undisturbed)


def test_rows_match_the_schema_and_keep_the_order_of_the_memories(network_and_memories) -> None:
    net, memories = network_and_memories
    rows = robustness(None, net, memories[::-1], 5, draws=1)
    assert [row["pair"] for row in rows] == [m.card.pair for m in memories[::-1] for _ in range(7)]
    assert [row["disturbance"] for row in rows[:7]] == ["noise"] * 4 + ["int8", "int4", "fp32"]
    assert [RobustnessRow.model_validate(row).level for row in rows[:7]] == [0.02, 0.05, 0.1, 0.2, None, None, None]
    assert rows == robustness(None, net, memories[::-1], 5, draws=1)
    assert all(type(row["passed"]) is bool for row in rows)


def test_bf16_and_fp32_networks_are_measured_together(folder: Path) -> None:
    _, memories = made.memories(folder)
    half = small.network(folder, "llama", dtype=torch.bfloat16)
    full = small.network(folder, "llama", dtype=torch.float32)
    rows = robustness(half, full, memories, 5, draws=1, verified=10**6)
    assert len(rows) == 8 * len(memories) and [row["disturbance"] for row in rows[6:8]] == ["bf16", "fp32"]
    assert all(row["decoded"] for row in rows)
    assert all(row["passed"] == (row["lowest"] > 0) for row in rows if abs(row["lowest"]) >= DOUBTFUL)
    with pytest.raises(ValueError, match="`network_bf16` should be bfloat16"):
        robustness(full, None, memories, 5)
    with pytest.raises(ValueError, match="`network_fp32` should be float32"):
        robustness(half, half, memories, 5)
    with pytest.raises(ValueError, match="no network"):
        robustness(None, None, memories, 5)


def test_memories_of_two_runs_are_refused(folder: Path) -> None:
    _, memories = made.memories(folder)
    first, second = memories[:2]
    other = replace(second, modes=(second.modes[0] * 2, second.modes[1]))
    with pytest.raises(ValueError, match="not from one run"):
        shared_modes_and_layout([first, other])
    with pytest.raises(ValueError, match="no memory"):
        shared_modes_and_layout([])
    assert one_per_pair([first, second, first]) == [first, second]

"""Lines, planes and paths compared with single losses; hand-computed widths; the gradient compared with autograd."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.memory.analysis import made
from trimtab.bench.reference_memory import plain_losses
from trimtab.memory.analysis.disturbances import gaussian_directions
from trimtab.memory.analysis.landscape import DISTANCES, LINE, PATH, PLANE, RISE, gradient, landscape, path, width
from trimtab.memory.engine.losses import losses_under_vectors
from trimtab.random import derive_seed
from trimtab.records.memory_measurements import LandscapeRecord, LossPath


def losses(net, memory, vectors):
    (result,) = losses_under_vectors(net, memory.modes, [(vectors, memory.branches)], memory.card.layout)
    return result.losses


def test_lines_and_plane_hold_the_losses_at_their_offsets(network_and_memories) -> None:
    net, memories = network_and_memories
    result = landscape(net, memories, [], 3, lined=2, widths=3)
    parsed = LandscapeRecord.model_validate(result)
    assert [(line.pair, line.direction) for line in parsed.lines] == [
        (memory.card.pair, direction) for memory in memories[:2] for direction in (0, 1, "gradient")
    ]
    first = memories[0]
    zero, one = (
        gaussian_directions(first.vectors, derive_seed(3, "landscape", first.card.pair, number)) for number in range(2)
    )
    uphill = gradient(net, first)
    uphill *= first.vectors.norm() / uphill.norm()
    for line, direction in zip(parsed.lines, (zero, one, uphill), strict=False):
        assert line.offsets == list(LINE) == sorted(LINE) and len(LINE) == 21
        for place in (0, 7, 10, 15):
            expected = losses(net, first, first.vectors + LINE[place] * direction)
            assert (line.question[place], line.answer[place]) == pytest.approx(expected, abs=1e-9)
    for row, column in ((0, 3), (8, 8), (16, 2)):
        expected = losses(net, first, first.vectors + PLANE[row] * zero + PLANE[column] * one)
        assert parsed.plane.loss[row][column] == pytest.approx(sum(expected) / 2, abs=1e-9)
    assert [one.pair for one in parsed.widths] == [memory.card.pair for memory in memories[:3]]
    assert parsed.widths[0].width == width(result["lines"][:2]) and parsed.rise == math.log(2)
    assert result == landscape(net, memories, [], 3, lined=2, widths=3)


def test_the_gradient_is_that_of_the_plain_losses_and_points_uphill(network_and_memories) -> None:
    net, memories = network_and_memories
    memory = memories[1]
    own = memory.vectors.clone().requires_grad_()
    with net.library_attention() as network:
        plain, _ = plain_losses(network, memory.modes, own, memory.branches, memory.card.layout)
    (expected,) = torch.autograd.grad(sum(plain), own)
    uphill = gradient(net, memory)
    assert torch.allclose(uphill, expected, rtol=0, atol=1e-9)
    step = 1e-4 * uphill / uphill.norm()
    assert sum(losses(net, memory, memory.vectors + step)) > sum(losses(net, memory, memory.vectors - step))


def line(rise: dict[float, float]) -> dict[str, list[float]]:
    """A line whose question loss rises by these amounts at these offsets, and by 9 beyond the largest offset."""
    question = [rise.get(offset, 9.0 if abs(offset) > max(rise) else 0.0) for offset in LINE]
    return {"offsets": list(LINE), "question": question, "answer": [1.0] * len(LINE)}


def test_widths_of_hand_made_lines() -> None:
    # the mean of the sides is half the question's rise: RISE is reached where that is 2 RISE
    flat = line({1.0: 0.0})
    assert width([flat]) is None and width([flat, flat]) is None
    steep = line({0.02: 4 * RISE, -0.02: 4 * RISE})
    assert width([steep]) == pytest.approx(0.01)
    one_sided = line({0.05: 0.0, 0.1: 4 * RISE, -0.1: 0.0})
    assert width([one_sided]) == pytest.approx(0.1)
    assert width([steep, flat]) == pytest.approx(0.02)
    quadratic = {"question": [8 * offset**2 for offset in LINE], "answer": [8 * offset**2 for offset in LINE]}
    low, high = 8 * 0.2**2, 8 * 0.3**2
    assert width([quadratic]) == pytest.approx(0.2 + 0.1 * (RISE - low) / (high - low))
    assert DISTANCES[-1] == 1.0


def test_a_path_holds_the_losses_between_two_restarts(folder: Path) -> None:
    net, memories = made.memories(folder, restarts=2)
    restarts = [
        (one, other) for one, other in zip(memories, memories[1:], strict=False) if one.card.pair == other.card.pair
    ]
    assert restarts
    result = landscape(net, memories, restarts, 3, lined=1, widths=1)
    for line, (one, other) in zip(LandscapeRecord.model_validate(result).paths, restarts, strict=True):
        assert line.restarts == [0, 1] and line.positions == list(PATH) and line.positions[10] == 0.5
        ends = [sum(memory.card.loss.values()) / 2 for memory in (one, other)]
        assert [line.loss[0], line.loss[-1]] == pytest.approx(ends, abs=1e-9)
        middle = losses(net, one, (one.vectors + other.vectors) / 2)
        assert line.loss[10] == pytest.approx(sum(middle) / 2, abs=1e-9)
    assert all(set(one) == set(LossPath.model_fields) for one in result["paths"])


def test_other_texts_have_no_path_and_a_zero_gradient_has_no_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, memories = made.memories(folder)
    first, second = memories[:2]
    with pytest.raises(ValueError, match="no path between"):
        path(net, first, second)
    with pytest.raises(ValueError, match="no path between"):
        path(net, first, replace(first, vectors=first.vectors[:2]))
    monkeypatch.setattr("trimtab.memory.analysis.landscape.gradient", lambda net, memory: memory.vectors * 0)
    result = landscape(net, [first], [], 3)
    assert [one["direction"] for one in result["lines"]] == [0, 1]

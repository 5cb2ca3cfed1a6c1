"""The time-to-loss benchmark: real runs of few steps, its measure, and refused input."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.small_runs import command
from trimtab.bench import peer
from trimtab.bench.held_out import held_out_loss
from trimtab.bench.time_to_loss import RECIPES, bench_time_to_loss
from trimtab.data import EvaluationLoader, WindowDataset

PROSE = "The quick brown fox jumps over the lazy dog, and the dog sleeps on.\n"


@pytest.mark.slow
def test_every_recipe_is_timed_and_measured_on_the_same_split(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(PROSE * 300)
    said: list[str] = []
    figures = bench_time_to_loss(text, 2, 1, RECIPES, said.append, steps=12)
    runs = figures["time_to_loss.runs"]
    assert [(run["recipe"], run["seed"]) for run in runs] == [(r, seed) for r in RECIPES for seed in range(2)]
    order = [line.split(": ")[1].split()[0] for line in said]
    assert order == [*RECIPES, *reversed(RECIPES)]
    assert all(0 < run["loss"] < math.log(99) + 0.1 and run["seconds"] > 0 for run in runs)
    assert figures["time_to_loss.fast.reached"] is True
    pairs = zip([r for r in runs if r["recipe"] == "peer"], [r for r in runs if r["recipe"] == "fast"], strict=True)
    ratios = [one["seconds"] / other["seconds"] for one, other in pairs]
    assert figures["time_to_loss.fast.times_faster"] == pytest.approx(sum(ratios) / 2)


def test_the_peer_learns_a_repeated_text() -> None:
    ids = np.tile(np.arange(11, dtype=np.uint16), 60)
    torch.set_num_threads(1)
    model = peer.train(ids, ids, 11, seed=0, steps=60)
    untrained = peer.model_of(11)
    assert held_out_loss(model.eval(), ids, peer.CONTEXT) < held_out_loss(untrained.eval(), ids, peer.CONTEXT) - 1


def test_the_peers_rate_warms_up_and_falls_to_a_tenth() -> None:
    rates = [peer.learning_rate(step, 2000) for step in range(2001)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) == peer.WARMUP
    assert rates[-1] == pytest.approx(1e-4)


class Fixed(nn.Module):
    """Logits that depend on the input token only."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = torch.randn(vocabulary, vocabulary, generator=torch.Generator().manual_seed(0))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table[ids]


def test_the_held_out_loss_is_that_of_a_runs_evaluation_over_whole_windows() -> None:
    ids = np.random.default_rng(0).integers(0, 7, 8 * 50 + 1).astype(np.uint16)
    model = Fixed(7)
    batch = EvaluationLoader(WindowDataset(ids, 8), 50).take(0, 50).shifted()
    expected = nn.functional.cross_entropy(model(batch.input_ids).flatten(0, 1), batch.labels.flatten())
    assert held_out_loss(model, ids, 8, batch=16) == pytest.approx(float(expected), rel=1e-6)
    more = np.concatenate([ids, ids[:5]])  # a last part shorter than a window
    assert held_out_loss(model, more, 8) == pytest.approx(float(expected), rel=1e-6)


def test_an_unknown_recipe_is_refused() -> None:
    done = command("bench", "time-to-loss", "--recipes", "peer,best")
    assert (done.returncode, "--recipes: 'best' is unknown. Known: peer, same, fast." in done.stderr) == (2, True)


def test_a_text_that_is_too_short_for_the_split_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text(PROSE)
    done = command("bench", "time-to-loss", str(text))
    assert (done.returncode, "validate" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    print(done.stderr)

"""Figures of the layer in every step's row."""

import math
from pathlib import Path

import pytest
import torch

from tests.metacognition.models import CAPS, CLOSE, DECODER, model, padded, prompts
from tests.metacognition.recipe.test_run import config
from trimtab.metacognition.recipe.stages import first_config
from trimtab.metacognition.telemetry import batch_figures
from trimtab.records import RunDirectory
from trimtab.training.config import resolve_config
from trimtab.training.runs.lifecycle import train


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_figures_of_a_padded_batch(side: str) -> None:
    rows = [torch.cat((row, torch.tensor([7, 8, CLOSE, 9]))) for row in prompts(6)]
    with torch.no_grad():
        outputs = model()(*padded(rows, side)).outputs
    figures = batch_figures(outputs, {})
    assert all(math.isfinite(value) for value in figures.values())
    assert figures["think_tokens_used"] == 2 and figures["gate_coverage"] == 1.0
    assert 0 <= figures["alpha_entropy"] <= math.log(DECODER["layers"])
    assert 0 < figures["alpha_min"] <= 1 / DECODER["layers"] <= figures["alpha_max"] < 1
    assert 0 <= figures["plan_agreement"] <= 1 and figures["budget_variance"] > 0 and figures["gate_norm"] > 0
    assert sum(figures[f"layer.{block}.alpha"] for block in (1, 2, 3)) == pytest.approx(1)
    assert 0 <= figures["layer.3.budget"] <= CAPS[-1] and 0 <= figures["layer.3.confidence"] <= 1


def test_a_closed_gate_covers_nothing_and_rows_without_thoughts_have_no_figures() -> None:
    rows = padded([torch.cat((row, torch.tensor([7]))) for row in prompts(3)], "right")
    with torch.no_grad():
        assert batch_figures(model(gate_open=False)(*rows).outputs, {})["gate_coverage"] == 0.0
        assert batch_figures(model()(torch.tensor([[5, 6, 7]])).outputs, {}) == {}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_every_step_has_them(tmp_path: Path, accumulation: int) -> None:
    plain = first_config(config()).model_dump(mode="json")
    plain["episode"]["accumulation"] = accumulation
    train(resolve_config(plain), tmp_path / "run")
    rows = RunDirectory(tmp_path / "run").steps()
    assert len(rows) == 6
    for row in rows:
        assert row["aux"]["model.think_tokens_used"] >= 0 and 0 <= row["aux"]["model.alpha_entropy"] <= math.log(2)

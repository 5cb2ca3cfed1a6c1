"""Preferences with low-rank additions on a real model."""

import json
import math
from pathlib import Path

import pytest

from tests.data.tasks.shared import write_rows
from tests.posttraining.files import sums
from trimtab.training import MemoryLogger
from trimtab.training.config import load_config
from trimtab.training.runs.assembly import assemble

pytestmark = pytest.mark.slow


def test_the_first_loss_with_fresh_additions_is_ln_2(smollm2: Path, tmp_path: Path) -> None:
    tokenizer = {"name": "pretrained", "path": str(smollm2)}
    data = {
        "name": "pairs",
        "path": write_rows(tmp_path / "pairs.jsonl", sums(12)),
        "context": 128,
        "validation": 2,
        "reference": str(smollm2),
        "tokenizer": tokenizer,
    }
    model = {"name": "pretrained", "path": str(smollm2), "adapt": [{"name": "lora", "rank": 4}]}
    made = load_config(
        None,
        [
            f"data={json.dumps(data)}",
            f"model={json.dumps(model)}",
            "episode={loss: {name: preference}, batch_size: 4, steps: 2, precision: fp32, sample: {tokens: 0}}",
            "threads=1",
        ],
    )
    assembly = assemble(made)
    trainer = assembly.trainer(MemoryLogger())
    trainer.prepare()
    for first in (0, 4):
        accumulated = trainer.passes.backward(assembly.train_loader, first, made.episode, 1, 0)
        assert accumulated.loss == pytest.approx(math.log(2), abs=1e-6)
        assert accumulated.aux["log_ratio_chosen"] == pytest.approx(0, abs=1e-5)
    assert any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in assembly.model.parameters())

"""Golden losses: a refactor changes none of them. Keyed by the corpus's fingerprint, which differs by Python version."""

import json
from pathlib import Path

import pytest

from tests.training.small_runs import DECODER, config
from trimtab.records import RunDirectory
from trimtab.training import train

GOLDEN = Path(__file__).with_name("golden.json")
TOLERANCE = 2e-4
"""Nats. fp32 sums are ordered differently on other processors; over these steps that moves a loss by less than this."""

CASES = {
    "default": [],
    "modern": [
        "model={name: decoder, layers: 2, width: 32, heads: 4, kv_heads: 2, ff: 64, position: rope, norm: rms, activation: swiglu,"
        " qk_norm: true, tied: false}"
    ],
    "muon": ["episode.optimizer={name: muon}", "episode.schedule={name: wsd, warmup: 5}"],
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_losses_equal_the_recorded_golden_losses(case: str, tmp_path: Path) -> None:
    changes = ["episode.precision=fp32", "episode.steps=30", *CASES[case]]
    train(config(*changes, base=DECODER), tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    golden = json.loads(GOLDEN.read_text())
    corpus = run.manifest().data.fingerprint
    if corpus not in golden:
        pytest.skip("no golden losses are recorded for this Python version's documentation text")
    losses = [row["train_loss"] for row in run.steps()][4::5]
    assert losses == pytest.approx(golden[corpus][case], abs=TOLERANCE)

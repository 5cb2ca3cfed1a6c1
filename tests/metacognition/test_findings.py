"""What went wrong in other metacognitive trainers, where no other test of this package covers it (docs/metacognition.md)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.metacognition.data.test_rollouts import CONFIG
from tests.metacognition.models import CLOSE, model, padded, prompts
from tests.training.small_runs import ROOT, command, environment
from trimtab.records import RunDirectory
from trimtab.records.atomic import is_leftover


def supervised(folder: Path, **episode: Any) -> RunDirectory:
    data = {key: value for key, value in CONFIG["data"].items() if key != "rollouts"}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "data": data, "episode": {**CONFIG["episode"], **episode}}))
    done = command("train", str(path), "--out", str(folder / "run"))
    assert done.returncode == 0, done.stderr
    return RunDirectory(folder / "run")


def test_checkpoints_are_on_the_exact_modulus_and_whole(tmp_path: Path) -> None:
    run = supervised(
        tmp_path, checkpoint_every=3, evaluate_every=8, keep_checkpoints=10, loss={"name": "cross_entropy"}
    )
    folders = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert [int(name.rpartition("-")[2]) for name in folders] == [3, 6, 8]  # the last one is the end
    assert not [path for path in run.path.rglob("*") if is_leftover(path.name)]


def test_an_entropy_bonus_has_the_figures_of_every_block(tmp_path: Path) -> None:
    terms = [{"name": "cross_entropy"}, {"name": "confidence_penalty", "weight": 0.1}, {"name": "plan", "layers": 0.5}]
    run = supervised(tmp_path, loss={"name": "sum", "terms": terms})
    for row in run.steps():
        for block in (1, 2):
            assert {f"model.layer.{block}.{name}" for name in ("alpha", "budget", "confidence")} <= set(row["aux"])


@pytest.mark.parametrize(
    "options", [{}, {"agg": "mean"}, {"gate": False}, {"linked_all_layers": False}, {"use_predicted_budget": False}]
)
def test_predictions_of_every_block_are_always_there(options: dict[str, Any]) -> None:
    rows = [torch.cat((row, torch.tensor([7, CLOSE, 9]))) for row in prompts(3)]
    with torch.no_grad():
        outputs = model(**options)(*padded(rows, "left")).outputs
    for name in ("layer_plan", "layer_hazards", "layer_confidence", "layer_use"):
        assert outputs[name].shape[2] == 3 and bool(outputs[name].isfinite().all())


def test_a_config_file_is_loaded_whole_without_a_question() -> None:
    call = "from trimtab.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", call, "train", str(ROOT / "configs/thinking.yaml"), "--dry-run"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and "valid: " in done.stdout, done.stderr

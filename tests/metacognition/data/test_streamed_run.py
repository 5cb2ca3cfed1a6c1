"""Runs on streamed traces: what they record, and that kills change nothing."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metacognition.data.traces.published import glaive, write_jsonl, write_parquet
from tests.training.small_runs import command, started, weights
from trimtab.records import RunDirectory
from trimtab.training import replay

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "seed": 3,
    "threads": 1,
    "device": "cpu",
    "data": {
        "name": "thinking",
        "tokenizer": {"name": "tagged"},
        "task": {"name": "traces", "path": "folder", "streaming": True, "buffer": 16},
        "mix": [{"task": {"name": "routes", "hops": [0, 1, 2]}, "weight": 0.5}],
        "size": 30,
        "validation": 8,
        "context": 200,
        "max_len": 100,
        "too_long": "cut",
    },
    "model": {"name": "decoder", "layers": 1, "width": 16, "heads": 2, "ff": 32, "dropout": 0.1},
    "episode": {
        "steps": 50,
        "batch_size": 4,
        "accumulation": 2,
        "precision": "fp32",
        "evaluate_every": 25,
        "evaluation_windows": 4,
        "checkpoint_every": 5,
        "task_eval": {"problems": 0},
    },
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    rows = [glaive(n, response=f"<think>{'step ' * (1 + n % 30)}</think>It is {n}.") for n in range(70)]
    write_jsonl(folder / "a.jsonl", rows[:40])
    write_parquet(folder / "b.parquet", rows[40:])
    path = tmp_path / "streamed.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def run(config: Path, out: Path) -> None:
    done = command("train", str(config), "--out", str(out), cwd=config.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def records(out: Path) -> tuple[list[Any], list[Any]]:
    rows = [(row["step"], row["train_loss"], row["aux"]) for row in RunDirectory(out).steps()]
    raised = [
        (one["step"], one["before"], one["after"]) for one in RunDirectory(out).events() if one["kind"] == "max_len"
    ]
    return rows, raised


def test_a_run_on_a_stream_records_its_figures_and_is_the_same_after_kills(config: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(config, whole)
    rows, raised = records(whole)
    # The step with the sample 256, of eight samples each.
    assert raised == [(33, 100, 200)]
    assert [aux["data.max_len"] for _, _, aux in rows] == [100.0] * 32 + [200.0] * 18
    assert {"data.longest", "data.too_long", "data.left_out"} <= set(rows[0][2])
    assert replay(whole).identical
    first = ["train", str(config), "--out", str(cut)]
    for _ in range(3):
        again = (cut / "manifest.json").exists()
        process = started(*(["resume", str(cut)] if again else first), merged=True, cwd=config.parent)
        deadline = time.monotonic() + 120
        steps = cut / "steps.jsonl"
        seen = steps.stat().st_size if steps.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            if steps.exists() and steps.stat().st_size > seen:
                break
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.finish(60)
    done = command("resume", str(cut))
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(cut) == weights(whole) and records(cut) == (rows, raised)

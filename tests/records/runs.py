"""Runs written the way the trainer writes them, for the tests of this floor and of reports."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trimtab.records import DataRecord, HookRecord, JsonlWriter, Manifest, Parent, RunDirectory, Summary


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "run_id": "20260101-000000-aaaaaaaa",
        "created_at": "2026-01-01T00:00:00.000000+00:00",
        "git_commit": None,
        "git_dirty": None,
        "config_hash": "c0ffee",
        "config": {"seed": 0, "model": {"name": "decoder", "layers": 4, "width": 256}},
        "hooks": [HookRecord(name="activation_stats", kind="observe", config={"every": 10}, source_hash="5ee")],
        "seed": 0,
        "data": DataRecord(name="corpus", fingerprint="f00", tokens=1000),
        "environment": {"torch": "2.13.0", "threads": 2},
        "parent": None,
        "trimtab": "0.1.0",
        "command": ["trimtab", "train"],
    }
    return Manifest(**{**fields, **changes})


def summary(**changes: Any) -> Summary:
    fields: dict[str, Any] = {
        "status": "completed",
        "steps": 3,
        "metrics": {"val_loss": 1.5},
        "weights_sha256": "beef",
        "tokens_per_second": 1000.0,
        "seconds": 12.5,
        "peak_rss_mb": 300.0,
    }
    return Summary(**{**fields, **changes})


def step(number: int, attempt: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "step": number,
        "attempt": attempt,
        "train_loss": 4.0 / number,
        "lr": 3e-4,
        "grad_norm": 0.1 * number,
        "tokens": 4096 * number,
        "seconds": 0.25,
        "rss_mb": 200.0 + number,
    }
    return {**row, **changes}


def make_run(
    path: Path,
    steps: Iterable[Mapping[str, Any]] = (),
    evaluations: Iterable[Mapping[str, Any]] = (),
    events: Iterable[Mapping[str, Any]] = (),
    ended: Summary | None = None,
    **changes: Any,
) -> RunDirectory:
    run = RunDirectory(path)
    with run.create():
        manifest(**changes).write(run.manifest_path)
        for file, rows in ((run.steps_path, steps), (run.evaluations_path, evaluations), (run.events_path, events)):
            with JsonlWriter(file) as writer:
                for row in rows:
                    writer.write(row)
        if ended:
            ended.write(run.summary_path)
    return run


def parent(run_id: str, at: int) -> Parent:
    return Parent(run_id=run_id, step=at)

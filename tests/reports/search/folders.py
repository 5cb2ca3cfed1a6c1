"""Searches whose reports are tested."""

from pathlib import Path
from typing import Any

from tests.experiments.searching.searches import SCHEDULERS, config, searched
from trimtab.experiments import RunOptions
from trimtab.experiments.searching.run import run_search
from trimtab.reports.search import write_report

NASTY = "<script>alert(1)</script> | `x` **bold** {{ 7 * 7 }}"
EVERY_KIND: dict[str, Any] = {
    "space": {
        "episode.optimizer.lr": {"low": 0.0003, "high": 0.3, "log": True},
        "episode.schedule.name": {"values": ["constant", "wsd"]},
        "episode.schedule.warmup": {"low": 0, "high": 8, "whole": True},
        "episode.schedule.decay": {"low": 0.1, "high": 1.0, "when": {"episode.schedule.name": ["wsd"]}},
        "episode.sample.prompt": {"values": [NASTY, "The "]},
    },
    "trials": 16,
    "confirm": {"seeds": 3},
}


def made(out: Path) -> dict[str, Path]:
    """Folders with reports: whole runs over every kind of key, rungs, a population, and a search that was interrupted."""
    folders = {name: out / name for name in ("whole", "rungs", "population", "interrupted")}
    searched(folders["whole"], **EVERY_KIND)
    searched(folders["rungs"], **SCHEDULERS["rungs"], probe={"steps": 4})
    searched(folders["population"], **SCHEDULERS["population"])
    log = folders["interrupted"] / "events.jsonl"
    enough = RunOptions(stop=lambda: "enough" if log.exists() and log.stat().st_size > 900 else None)
    assert run_search(config(), folders["interrupted"], enough)["status"] == "interrupted"
    for folder in folders.values():
        write_report(folder)
    return folders

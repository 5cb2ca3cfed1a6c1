"""Small searches for the tests."""

from pathlib import Path
from typing import Any

import yaml

from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.experiments import RunOptions
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.run import run_search
from trimtab.records import read_rows
from trimtab.records.search_rows import SearchRow

SMALL: dict[str, Any] = {
    "run": {
        "threads": 1,
        "data": {"context": 32, "stride": 32},
        "model": {"layers": 1, "width": 16, "heads": 2, "ff": 32, "dropout": 0.0},
        "episode": {
            "steps": 12,
            "batch_size": 4,
            "precision": "fp32",
            "evaluate_every": 4,
            "evaluation_windows": 4,
            "checkpoint_every": 4,
            "optimizer": {"name": "adamw", "lr": 0.003},
            "sample": {"tokens": 0},
        },
    },
    "space": {
        "episode.optimizer.lr": {"low": 0.0003, "high": 0.3, "log": True},
        "episode.clip": {"values": [None, 0.3, 3.0]},
    },
    "optimizer": {"name": "random"},
    "trials": 6,
    "confirm": {"seeds": 2},
}
"""A search of six runs that take a tenth of a second each."""

SCHEDULERS: dict[str, dict[str, Any]] = {
    "whole": {"scheduler": {"name": "whole", "seeds": 2}, "trials": 5},
    "rungs": {"scheduler": {"name": "rungs", "at": [4, 8], "factor": 2}, "trials": 8},
    "population": {"scheduler": {"name": "population", "every": 4}, "trials": 4},
    "race": {"scheduler": {"name": "race", "seeds": 3}},
}


def config(**changes: Any) -> SearchConfig:
    return resolve_root(SearchConfig, {**SMALL, **changes}, Source("search.yaml"))


def searched(out: Path, *, workers: int = 0, **changes: Any) -> dict[str, Any]:
    """The result of a whole search."""
    return run_search(config(**changes), out, RunOptions(workers=workers))


def written(path: Path, **changes: Any) -> Path:
    """The YAML file of a search."""
    path.write_text(yaml.safe_dump({**SMALL, **changes}, sort_keys=False))
    return path


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of a search's log."""
    return read_rows(out / "events.jsonl", SearchRow)

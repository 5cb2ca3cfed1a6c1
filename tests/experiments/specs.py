"""Small experiments for the tests."""

import json
from pathlib import Path
from typing import Any

from trimtab.config.wording import Source
from trimtab.experiments import Experiment, experiment_from
from trimtab.runtime.events import Ended, Nested, RunEvent

SMALL: dict[str, Any] = {
    "question": "Does it help?",
    "claim": {"metric": "val_loss", "higher_is_better": False, "margin": 0.02},
    "arms": {"plain": {}, "hot": {"episode.optimizer.lr": 0.02}},
    "seeds": 2,
    "threads": 1,
    "data": {"context": 32, "stride": 32},
    "model": {"layers": 1, "width": 16, "heads": 2, "ff": 32},
    "episode": {
        "steps": 40,
        "batch_size": 4,
        "evaluate_every": 20,
        "evaluation_windows": 16,
        "checkpoint_every": 20,
        "keep_checkpoints": 50,
        "optimizer": {"name": "adamw", "lr": 0.003},
        "sample": {"tokens": 0},
    },
}

SHORT = {**SMALL["episode"], "steps": 12, "evaluate_every": 12}
"""An episode that is long enough to tell a learning rate of 1e-6 from one that learns."""


def spec(**changes: Any) -> Experiment:
    return experiment_from({**SMALL, **changes}, Source("exp.yaml"))


GUARDED: dict[str, Any] = {
    "episode": {**SMALL["episode"], "checkpoint_every": 5},
    "pairing": {"name": "lazy_fork"},
    "monitor": {"robust_window": 12},
    "faults": [{"name": "random_labels", "at": [28, 29, 30]}],
    "arms": {
        "plain": {},
        "guard": {
            "episode.regime_controller": {"name": "spike_guard", "window": 12, "lasting": 2, "threshold": 3.0},
            "episode.rewind": {"every": 5},
        },
        "never": {"episode.regime_controller": {"name": "spike_guard", "threshold": 1e9}},
    },
}
"""A guard that skips and rewinds, and one that never acts, under injected faults."""


def ended_at(out: Path) -> str:
    """When an experiment ended, by its progress."""
    return str(json.loads((out / "experiment.json").read_text())["ended_at"])


def ends(events: list[RunEvent]) -> list[Ended]:
    """How the episodes ended, from the events of an experiment."""
    return [one.event for one in events if isinstance(one, Nested) and isinstance(one.event, Ended)]

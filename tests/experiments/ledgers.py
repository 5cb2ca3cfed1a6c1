"""A small experiment with a controller that explores and the measured effects of its decisions."""

from pathlib import Path
from typing import Any

from tests.experiments.specs import SMALL, spec
from tests.experiments.test_run import QUIET
from trimtab.experiments import run_experiment

LEDGER: dict[str, Any] = {
    "arms": {
        "plain": {},
        "exploring": {"episode.regime_controller": {"name": "exploring", "flagged": 0.8, "calm": 0.15}},
    },
    "seeds": 3,
    "episode": {**SMALL["episode"], "steps": 36, "checkpoint_every": 6, "rewind": {"every": 5, "limit": 2}},
    "monitor": {"robust_window": 12},
    "faults": [{"name": "random_labels", "at": [24, 25, 26]}],
    "intervention_effects": {"steps": 6, "at_most": 3},
}


def make_ledger(folder: Path) -> Path:
    assert run_experiment(spec(**LEDGER), folder, QUIET)["status"] == "completed"
    return folder

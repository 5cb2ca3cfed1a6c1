"""What a search's config may not be, each said in one paragraph before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from tests.experiments.searching.searches import SMALL, config, searched
from trimtab.config import ConfigError

LR = "episode.optimizer.lr"
EPISODE = SMALL["run"]["episode"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"episode.optimiser.lr": {"low": 1, "high": 2}}}, "space.episode.optimiser.lr: no run can have .* Did you mean 'optimizer'"),
        ({"space": {LR: {"low": 2, "high": 1}}}, f"space.{LR}: low must be below high, but they are 2.0 and 1.0"),
        ({"space": {LR: {"low": 1, "high": 1}}}, f"space.{LR}: low must be below high"),
        ({"space": {LR: {"low": 0, "high": 1, "log": True}}}, "a logarithmic scale needs a low above 0, but it is 0.0"),
        ({"space": {LR: {"low": 1}}}, "a key needs `low` and `high`, or `values`"),
        ({"space": {LR: {"low": 1, "high": 2, "values": [1.0]}}}, "a key has either `values`, or `low` and `high`"),
        ({"space": {LR: {"low": -1, "high": 1}}}, f"no run can have the settings {LR} = -1.0: {LR}"),
        ({"space": {}}, "space: there must be at least one key to search over"),
        ({"space": {"episode.clip": {"values": []}}}, "space.episode.clip: there must be at least one value to choose from"),
        ({"space": {"episode.clip": {"values": [1.0, "nope"]}}}, "episode.clip = 'nope': episode.clip: it should be a number"),
        ({"space": {"episode.steps": {"low": 4, "high": 8}}}, "add `whole: true` to the key"),
        ({"space": {"episode.schedule.decay": {"low": 0.1, "high": 0.5}}}, "exists only with some choices of another one, add a `when`"),
        ({"space": {"seed": {"low": 1, "high": 9, "whole": True}}}, "the best of several seeds is luck, not a setting"),
        ({"space": {LR: {"low": 1e-4, "high": 1e-2, "when": {"episode.clip": [1.0]}}}}, "names episode.clip, which is no choice listed before it"),
        ({"optimizer": {"name": "pso", "swarm": 3}}, "optimizer: swarm: a swarm of 3 does not suit a budget of 6 trials"),
        ({"optimizer": {"name": "grid", "levels": 3}}, r"optimizer: levels: the grid has 9 settings \(3 × 3\), but the budget is 6 trials"),
        ({"optimizer": {"name": "psi"}}, "there is no search_optimizer 'psi'. Did you mean 'pso'"),
        ({"metric": "val_los"}, "metric: the runs have no metric 'val_los'. Did you mean 'val_loss'"),
        ({"run": {**SMALL["run"], "seed": 3}}, "run.seed: the seeds of the runs follow from the search's own `seed`"),
        ({"initial": [{"episode.clip": None}]}, rf"initial\[0\]: {LR}: this key is missing"),
        ({"random_start": 7}, "trials: 6 trials are fewer than the 7 settings"),
        ({"scheduler": {"name": "rungs", "at": [5], "factor": 2}}, "runs pause at step 5, where they are not evaluated: run.episode.evaluate_every is 4"),
        ({"scheduler": {"name": "rungs", "at": [12], "factor": 2}}, "scheduler: at: the steps of the rungs must increase and be below the 12 steps"),
        ({"scheduler": {"name": "rungs", "at": [4, 8]}}, "a run reaches the end in a search of at least 9 trials, but this one has 6"),
        ({"scheduler": {"name": "rungs", "at": [4], "factor": 2}, "metric": "train_loss"}, "metric: 'train_loss' is a figure of a whole run"),
        ({"scheduler": {"name": "population", "every": 4}, "space": {"model.width": {"values": [16, 32]}}}, "they can differ in keys of `episode` only"),
        ({"scheduler": {"name": "population", "every": 4}, "space": {"episode.steps": {"low": 4, "high": 8, "whole": True}}}, "all runs have the same length"),
        ({"scheduler": {"name": "cfa"}, "space": {"episode.steps": {"low": 4, "high": 8, "whole": True}}}, "all runs have the same length"),
        ({"scheduler": {"name": "cfa", "pause": 4}, "probe": {"steps": 4}}, "probe: the budget of a policy has no steps for probes"),
        ({"probe": {"steps": 4}}, "probe: it evaluates runs that pause, and with the scheduler 'whole' none does"),
        (
            {"scheduler": {"name": "rungs", "at": [4], "factor": 2}, "probe": {"steps": 4}, "run": {**SMALL["run"], "episode": {**EPISODE, "schedule": {"name": "cosine"}}}},
            "probe: it needs a rate that is constant until the last pause: run.episode.schedule must be constant or wsd, but it is cosine",
        ),
        (
            {"scheduler": {"name": "rungs", "at": [8], "factor": 2}, "probe": {"steps": 4}, "run": {**SMALL["run"], "episode": {**EPISODE, "schedule": {"name": "wsd", "decay": 1.0}}}},
            "at step 8, but with a decay of 1 it falls from step 0 on. Make the decay at most 0.333",
        ),
        ({"scheduler": {"name": "population", "every": 4}, "space": {"episode.optimizer.name": {"values": ["adamw", "muon"]}}}, "the members of a population exchange the state of their optimiser"),
        ({"scheduler": {"name": "rungs", "at": [4], "factor": 2}, "space": {"episode.evaluate_every": {"values": [4, 3]}}}, "are evaluated at the same steps"),
        ({"space": {LR: {"low": 0.1, "high": 0.2}, "episode.optimizer": {"values": [{"name": "adamw"}, {"name": "muon"}]}}}, "episode.optimizer, which comes after it, replaces its value"),
        ({"space": {"episode.clip": {"values": [1.0]}, LR: {"low": 0.1, "high": 0.2, "when": {"episode.clip": []}}}}, "its `when` lists no value of episode.clip"),
        ({"run": {**SMALL["run"], "episode": {**EPISODE, "best_metric": "nothing"}}}, "search.yaml, run: episode.best_metric"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        searched(tmp_path / "s", **changes)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "s").exists()


def test_a_key_that_only_some_choices_have_needs_a_when() -> None:
    space = {
        "episode.schedule.name": {"values": ["constant", "wsd"]},
        "episode.schedule.decay": {"low": 0.1, "high": 0.5, "when": {"episode.schedule.name": ["wsd"]}},
    }
    config(space=space)
    del space["episode.schedule.decay"]["when"]
    with pytest.raises(ConfigError, match=r"schedule.name = 'constant', episode.schedule.decay = 0.3: .* add a `when`"):
        config(space=space)


def test_whole_components_and_null_are_choices() -> None:
    space = {
        "episode.optimizer": {"values": [{"name": "adamw", "lr": 0.01}, {"name": "muon"}]},
        "episode.data_mix": {"values": [None, {"easy": 0.5, "hard": 0.2}]},
        "model.width": {"values": [16, 32]},
    }
    config(space=space)

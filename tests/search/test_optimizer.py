"""What holds for every optimiser."""

import math
import subprocess
import sys

import numpy as np
import pytest

from tests.search.functions import OPTIMIZERS, PLANE, bowl, searched
from trimtab.search import Choice, Number, RandomSearch, Space
from trimtab.search.optimizer import moved, reflected

BUDGET = 40
every = pytest.mark.parametrize("name", OPTIMIZERS)


def settings_of(told) -> list[dict]:
    return [trial.settings for trial, _ in told]


@every
@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_the_same_seed_and_values_give_the_same_trials(name: str, parallel: int) -> None:
    runs = [
        settings_of(searched(OPTIMIZERS[name](PLANE, budget=BUDGET, seed=seed), parallel=parallel))
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) == BUDGET


@every
def test_a_replayed_log_continues_as_if_it_had_never_stopped(name: str) -> None:
    whole = searched(OPTIMIZERS[name](PLANE, budget=BUDGET, seed=3))
    again = OPTIMIZERS[name](PLANE, budget=BUDGET, seed=3)
    for trial, value in whole[:17]:
        assert again.ask().settings == trial.settings
        again.tell(again.pending[trial.number], value)
    assert settings_of(searched(again)) == settings_of(whole)[17:]


@every
def test_given_settings_are_tried_first_and_the_best_is_kept(name: str) -> None:
    given = [{"x": 0.5, "y": 1.0}, {"x": -1.0, "y": 10.0}, {"x": 1.0, "y": 0.1}]
    optimizer = OPTIMIZERS[name](PLANE, budget=BUDGET, seed=0, initial=given)
    told = searched(optimizer)
    assert settings_of(told)[:3] == given
    assert optimizer.best is not None and optimizer.best[0].number == 0 and optimizer.best[1] == 0.0


@every
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_never_the_best_and_are_visited_less(name: str, bad: float) -> None:
    """30% of the plane diverges. Searches that learn go there less in their second half."""
    firsts, seconds = 0, 0
    for seed in range(12):
        optimizer = OPTIMIZERS[name](PLANE, budget=BUDGET, seed=seed)
        told = searched(optimizer, lambda s: bad if s["x"] < -0.8 else bowl(s))
        assert optimizer.best is not None and math.isfinite(optimizer.best[1])
        failed = [trial.settings["x"] < -0.8 for trial, _ in told]
        firsts, seconds = firsts + sum(failed[: BUDGET // 2]), seconds + sum(failed[BUDGET // 2 :])
    if name not in ("random", "grid"):
        assert seconds < firsts


@every
def test_a_search_whose_every_trial_diverges_goes_on(name: str) -> None:
    told = searched(OPTIMIZERS[name](PLANE, budget=BUDGET, seed=0), lambda _: math.nan)
    assert len({tuple(trial.settings.items()) for trial, _ in told}) > BUDGET // 3


@every
def test_whole_numbers_choices_and_void_keys_are_searched(name: str) -> None:
    space = Space(
        {
            "kind": Choice(("a", "b", None)),
            "n": Number(1, 9, whole=True),
            "x": Number(0.0, 1.0, when={"kind": ["a"]}),
        }
    )
    kinds = set()
    for seed in range(5):
        optimizer = OPTIMIZERS[name](space, budget=BUDGET, seed=seed)
        told = searched(optimizer, lambda s: abs(s["n"] - 7) + (s["x"] if s["kind"] == "a" else 1.0))
        kinds |= {trial.settings["kind"] for trial, _ in told}
        assert optimizer.best is not None and optimizer.best[1] < 2.5
        for trial, _ in told:
            assert space.settings(space.point(trial.settings)) == trial.settings
    assert kinds == {"a", "b", None}


def test_trials_are_told_once_and_only_within_the_budget() -> None:
    optimizer = RandomSearch(PLANE, budget=1)
    trial = optimizer.ask()
    optimizer.tell(trial, 1.0)
    with pytest.raises(ValueError, match="trial 0 is not pending: it was told already, or never asked for"):
        optimizer.tell(trial, 1.0)
    with pytest.raises(ValueError, match="the budget of 1 trials is used up"):
        optimizer.ask()
    with pytest.raises(ValueError, match="the budget must be at least 1 trial, but it is 0"):
        RandomSearch(PLANE, budget=0)
    with pytest.raises(ValueError, match="y: 1000.0 is not between"):
        RandomSearch(PLANE, budget=5, initial=[{"x": 0.0, "y": 1000.0}])


def test_reflection_keeps_points_in_the_cube() -> None:
    folded = reflected(np.array([-0.2, 1.3, 0.4, 2.5, -1.7]))
    assert folded == pytest.approx([0.2, 0.7, 0.4, 0.5, 0.3])


def test_a_neighbour_of_choices_only_is_another_draw() -> None:
    choices, random = np.array([True, True]), np.random.default_rng(0)
    point = np.array([0.1, 0.9])
    assert all((moved(point, 1e-9, choices, random) != point).any() for _ in range(50))


def test_the_package_imports_no_torch() -> None:
    code = "import sys, trimtab.search, trimtab.search.cma; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code]).returncode == 0

"""Optuna's samplers: continued searches, pending trials, refusals."""

import math

import numpy as np
import optuna
import pytest

from tests.search.functions import PLANE, bowl, searched
from trimtab.search import Choice, Number, Space
from trimtab.search.optuna_adapter import OptunaSearch


def naive(study: optuna.Study, trials: int) -> list[dict]:
    """Trials of a study as Optuna's documentation runs them."""
    asked = []
    for _ in range(trials):
        trial = study.ask()
        settings = {"x": trial.suggest_float("x", -2.0, 2.0), "y": trial.suggest_float("y", 0.01, 100.0, log=True)}
        study.tell(trial, bowl(settings))
        asked.append(settings)
    return asked


def test_a_study_of_optuna_that_is_continued_gives_other_trials_and_ours_does_not() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    whole = naive(optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1)), 30)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    first = naive(study, 15)
    study.sampler = optuna.samplers.TPESampler(seed=1)  # as after a restart
    assert first == whole[:15]
    assert not any(one == other for one, other in zip(naive(study, 15), whole[15:], strict=True))

    ours = [trial.settings for trial, _ in searched(OptunaSearch(PLANE, budget=30, seed=1))]
    again = OptunaSearch(PLANE, budget=30, seed=1)
    for settings in ours[:15]:
        again.tell(again.ask(), bowl(settings))
    assert [trial.settings for trial, _ in searched(again)] == ours[15:]


def test_the_gaussian_process_is_reproducible_and_finds_the_bowl() -> None:
    runs = [searched(OptunaSearch(PLANE, budget=20, seed=2, sampler="gp", start=8)) for _ in range(2)]
    assert [trial.settings for trial, _ in runs[0]] == [trial.settings for trial, _ in runs[1]]
    assert min(value for _, value in runs[0]) < 0.05


def test_the_estimator_finds_the_bowl() -> None:
    values = [min(value for _, value in searched(OptunaSearch(PLANE, budget=60, seed=seed))) for seed in range(10)]
    assert np.median(values) < 0.02


def test_choices_of_any_type_are_found_again() -> None:
    space = Space({"a": Choice((None, (0.9, 0.95), "x", True)), "n": Number(1, 64, log=True, whole=True)})
    given = {"a": (0.9, 0.95), "n": 7}
    told = searched(OptunaSearch(space, budget=30, seed=0, initial=[given]), lambda s: abs(s["n"] - 9))
    assert told[0][0].settings == given
    assert {repr(trial.settings["a"]) for trial, _ in told} == {"None", "(0.9, 0.95)", "'x'", "True"}


def test_a_trial_that_is_not_finite_is_not_forgotten() -> None:
    search = OptunaSearch(PLANE, budget=12, seed=0)
    for value in (math.nan, 1.0):
        search.tell(search.ask(), value)
    assert [trial.value for trial in search._study.trials] == [math.inf, 1.0]


def test_what_does_not_suit_is_refused() -> None:
    with pytest.raises(ValueError, match="sampler: 'cmaes' is unknown. Known: tpe, gp"):
        OptunaSearch(PLANE, budget=5, sampler="cmaes")
    with pytest.raises(ValueError, match="start: it must be at least 1"):
        OptunaSearch(PLANE, budget=5, start=0)

"""The four policies, on functions and tables whose best settings are known."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.search.functions import PLANE, bowl
from tests.search.tables import made_up
from tests.search.test_schedulers import searched
from trimtab.search import HillClimb, RandomSearch
from trimtab.search.policies.cost import CostPolicy
from trimtab.search.policies.lookahead import LookaheadPolicy, gain
from trimtab.search.policies.policy import KINDS, Beliefs, Policy, State, Tried
from trimtab.search.policies.rule import RulePolicy
from trimtab.search.policies.value import ValuePolicy
from trimtab.search.replay import Recordings, replay
from trimtab.search.scheduler import Whole

PAUSING = {
    "format": 1,
    "policy": "vfa",
    "parameters": {k: [1.0, *[0.1] * 10] for k in KINDS},
    "training": {"pause": 30},
}


def paused_values(folder: Path) -> str:
    """A file of weights for runs that pause."""
    (folder / "vfa.json").write_text(json.dumps(PAUSING))
    return str(folder / "vfa.json")


POLICIES: dict[str, Callable[..., Policy]] = {
    "pfa": RulePolicy,
    "cfa": CostPolicy,
    "vfa": ValuePolicy,
    "dla": LookaheadPolicy,
}


@pytest.mark.parametrize("pause", [None, 30])
@pytest.mark.parametrize("name", POLICIES)
def test_the_budget_is_in_steps_and_the_given_settings_come_first(name: str, pause: int | None, tmp_path: Path) -> None:
    initial = [{"x": 0.4, "y": 1.2}, {"x": -1.0, "y": 30.0}]
    file = {"file": paused_values(tmp_path)} if name == "vfa" and pause else {}
    scheduler = POLICIES[name](RandomSearch(PLANE, budget=7, initial=initial), steps=90, pause=pause, seeds=2, **file)
    ended = searched(scheduler)
    spent = sum((work.end or 90) - work.start for work, _ in ended)
    assert 7 * 90 - 90 < spent <= 7 * 90
    assert [work.settings for work, _ in sorted(ended, key=lambda one: one[0].number)[:2]] == initial
    assert max(work.seed for work, _ in ended) <= 1
    runs = {(work.trial, work.seed, work.start) for work, _ in ended}
    assert len(runs) == len(ended), "no part of a run is made twice"
    for work, _ in ended:
        if work.start:
            assert (work.trial, 0, 0) in runs
    assert scheduler.best is not None
    whole = {work.trial for work, _ in ended if work.end is None}
    assert scheduler.best.trial in whole
    own = [value for work, value in ended if work.trial == scheduler.best.trial and work.end is None]
    assert scheduler.best.runs == len(own) and scheduler.best.value == pytest.approx(sum(own) / len(own), abs=1e-12)


@pytest.mark.parametrize("name", POLICIES)
def test_a_search_too_short_for_more_still_ends_one_run(name: str, tmp_path: Path) -> None:
    file = {"file": paused_values(tmp_path)} if name == "vfa" else {}
    scheduler = POLICIES[name](RandomSearch(PLANE, budget=1), steps=90, pause=60, seeds=2, **file)
    ended = searched(scheduler)
    assert [(work.start, work.end) for work, _ in ended] == [(0, 60), (60, None)]
    assert scheduler.best is not None


@pytest.mark.parametrize("name", POLICIES)
def test_policies_find_better_settings_than_random_search(name: str) -> None:
    recordings = Recordings(made_up())
    truths = recordings.truth(np.arange(4), 0)
    ours, random = [], []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(4)
        policy = POLICIES[name](RandomSearch(recordings.space, budget=20, seed=seed), steps=90, pause=None, seeds=2)
        ours.append(replay(policy, recordings, order).truth)
        random.append(replay(Whole(RandomSearch(recordings.space, budget=20, seed=seed)), recordings, order).truth)
    assert np.mean(ours) < np.mean(random)
    assert np.median(ours) <= np.sort(truths)[10]


@pytest.mark.parametrize("name", POLICIES)
def test_what_does_not_suit_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=f"the policy '{name}' chooses the settings itself; set optimizer.name to random"
    ):
        POLICIES[name](HillClimb(PLANE, budget=9), steps=90, pause=None, seeds=2)
    optimizer = RandomSearch(PLANE, budget=9)
    with pytest.raises(ValueError, match="pause: it must be from 1 to 89, but it is 90"):
        POLICIES[name](optimizer, steps=90, pause=90, seeds=2)
    with pytest.raises(ValueError, match="seeds: it must be at least 1, but it is 0"):
        POLICIES[name](optimizer, steps=90, pause=None, seeds=0)
    if name == "dla":
        return
    other = {"format": 1, "policy": "other", "parameters": {}, "training": {}}
    for content, message in (
        (json.dumps(other), f"holds parameters of the policy 'other', not of '{name}'"),
        ("{", "holds no parameters of a policy"),
        (json.dumps({**other, "policy": name}), "file: its parameters"),
    ):
        (tmp_path / "p.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            POLICIES[name](optimizer, steps=90, pause=None, seeds=2, file=str(tmp_path / "p.json"))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        POLICIES[name](optimizer, steps=90, pause=None, seeds=2, file=str(tmp_path / "none.json"))


def state_of(points: np.ndarray, values: list[float]) -> State:
    known = [
        Tried(n, PLANE.settings(point), point, {0: value}, waiting=0, whole=True)
        for n, (point, value) in enumerate(zip(points, values, strict=True))
    ]
    return State(Beliefs(PLANE, known), frozenset({"explore"}), 0.5, len(known), [], [])


def test_the_gain_of_a_candidate_is_that_of_many_rolled_out_values() -> None:
    """Each roll-out draws a value from the belief and fits the belief again, with the same length and noise."""
    random = np.random.default_rng(5)
    points = random.random((8, 2))
    state = state_of(points, [bowl(PLANE.settings(point)) for point in points])
    candidates = random.random((3, 2))
    pool = np.concatenate([points, candidates])
    ours = gain(state, candidates, pool, np.zeros(3))
    assert (gain(state, candidates, pool, np.full(3, 0.5)) < ours).all(), "a less certain value teaches less"
    posterior = state.beliefs.posterior
    mean = posterior.at(pool).mean
    for place in range(3):
        covariance = posterior.covariance(pool, candidates[place : place + 1])[:, 0]
        variance = (
            float(posterior.covariance(candidates[place : place + 1], candidates[place : place + 1])[0, 0])
            + posterior.noise**2
        )
        draws = random.standard_normal(40_000) * math.sqrt(variance)
        updated = mean[:, None] + covariance[:, None] * draws / variance
        assert ours[place] == pytest.approx(mean.min() - updated.min(axis=0).mean(), rel=0.15, abs=2e-3)
    assert (ours >= -1e-12).all()


def test_one_run_that_explodes_does_not_change_what_is_believed_of_the_others() -> None:
    def beliefs(exploded: float) -> Beliefs:
        points = np.random.default_rng(0).random((8, 2))
        known = [Tried(n, {}, point, {}, paused=2.5 + 0.05 * n, waiting=0) for n, point in enumerate(points)]
        for one in known[:3]:
            one.values[0] = (one.paused or 0.0) - 0.3
        known[3].paused, known[3].values[0] = exploded, 4.57
        return Beliefs(PLANE, known)

    usual, other = beliefs(2.65), beliefs(1.5e9)
    assert other.change[0] == pytest.approx(-0.3, abs=0.02)
    assert np.abs(other.own.mean[[0, 1, 2, 4, 5, 6, 7]] - usual.own.mean[[0, 1, 2, 4, 5, 6, 7]]).max() < 0.1
    assert other.own.sd.max() < 1.0


def test_every_checkpoint_may_be_needed_as_long_as_anything_may_follow() -> None:
    scheduler = RulePolicy(RandomSearch(PLANE, budget=4), steps=90, pause=60, seeds=2)
    while (work := scheduler.next()) is not None:
        assert set(scheduler.undecided) == set(scheduler.tried)
        scheduler.tell(work, bowl(work.settings))
    assert scheduler.undecided == []


def test_values_without_weights_for_paused_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="pause: these weights of vfa were trained on runs that do not pause"):
        ValuePolicy(RandomSearch(PLANE, budget=9), steps=90, pause=30)


def test_paused_values_count_with_the_change_of_the_runs_that_went_on() -> None:
    known = [
        Tried(0, {}, np.array([0.1, 0.1]), {0: 1.0}, paused=2.0, waiting=0, whole=True),
        Tried(1, {}, np.array([0.9, 0.1]), {0: 3.0}, paused=4.2, waiting=0, whole=True),
        Tried(2, {}, np.array([0.1, 0.9]), {}, paused=2.1, waiting=0),
    ]
    beliefs = Beliefs(PLANE, known)
    centre = np.mean([1.0, 3.0, 2.1 - 1.1])
    assert beliefs.posterior._centre == pytest.approx(centre, abs=1e-12)
    assert beliefs.best == 0, "a paused run is not the best, however good it looks"

"""Schedulers: whole runs, rungs, populations and races, on functions whose values are known."""

import math
from collections.abc import Callable

import pytest

from tests.search.functions import PLANE, bowl
from trimtab.search import Choice, HillClimb, Number, ParticleSwarm, RandomSearch, Space
from trimtab.search.clock import VirtualClock
from trimtab.search.policies.cost import CostPolicy
from trimtab.search.policies.lookahead import LookaheadPolicy
from trimtab.search.policies.rule import RulePolicy
from trimtab.search.policies.value import ValuePolicy
from trimtab.search.population import Population
from trimtab.search.racing import Race
from trimtab.search.rungs import Rungs
from trimtab.search.scheduler import Scheduler, Whole, Work

MAKERS: dict[str, Callable[[int], Scheduler]] = {
    "whole": lambda seed: Whole(ParticleSwarm(PLANE, budget=20, seed=seed), seeds=2),
    "rungs": lambda seed: Rungs(RandomSearch(PLANE, budget=27, seed=seed), steps=90, at=(10, 30)),
    "population": lambda seed: Population(RandomSearch(PLANE, budget=8, seed=seed), steps=90, every=30),
    "race": lambda seed: Race(HillClimb(PLANE, budget=20, seed=seed), seeds=4),
    "pfa": lambda seed: RulePolicy(RandomSearch(PLANE, budget=8, seed=seed), steps=90, pause=30),
    "cfa": lambda seed: CostPolicy(RandomSearch(PLANE, budget=8, seed=seed), steps=90, pause=30),
    "vfa": lambda seed: ValuePolicy(RandomSearch(PLANE, budget=8, seed=seed), steps=90),
    "dla": lambda seed: LookaheadPolicy(RandomSearch(PLANE, budget=8, seed=seed), steps=90, pause=30),
}


def value_of(work: Work) -> float:
    """A value with noise that depends on the trial and the seed alone."""
    return bowl(work.settings) + 0.3 * math.sin(97 * work.trial + 31 * work.seed)


def searched(
    scheduler: Scheduler, value: Callable[[Work], float] = value_of, *, parallel: int = 1, told: list | None = None
) -> list[tuple[Work, float]]:
    """The work of a whole search in the order of its ends. Values in `told` are used for the first ones."""
    clock = VirtualClock(scheduler, parallel=parallel, cost=lambda work: (work.end or 90) - work.start)
    ended = []
    while clock.start() or clock.pending:
        work = clock.next.work
        known = told[len(ended)] if told is not None and len(ended) < len(told) else value(work)
        clock.end(known)
        ended.append((work, known))
    return ended


def rows(ended: list[tuple[Work, float]]) -> list[tuple]:
    return [(w.number, w.trial, w.settings, w.seed, w.start, w.end, w.parent, w.reason, v) for w, v in ended]


@pytest.mark.parametrize("parallel", [1, 2, 4])
@pytest.mark.parametrize("name", MAKERS)
def test_the_same_values_give_the_same_work_and_a_replay_continues(name: str, parallel: int) -> None:
    whole = searched(MAKERS[name](3), parallel=parallel)
    assert rows(searched(MAKERS[name](3), parallel=parallel)) == rows(whole)
    values = [value for _, value in whole]
    assert rows(searched(MAKERS[name](3), parallel=parallel, told=values[: len(values) // 2])) == rows(whole)
    assert rows(searched(MAKERS[name](4), parallel=parallel)) != rows(whole)


@pytest.mark.parametrize("name", MAKERS)
def test_work_is_told_once_and_bad_values_are_never_the_best(name: str) -> None:
    scheduler = MAKERS[name](0)
    work = scheduler.next()
    assert work is not None and scheduler.best is None
    scheduler.tell(work, math.nan)
    with pytest.raises(ValueError, match="work 0 is not pending"):
        scheduler.tell(work, 1.0)
    scheduler = MAKERS[name](0)
    searched(scheduler, lambda work: math.nan if work.settings["x"] < 0 else value_of(work))
    assert scheduler.best is not None and scheduler.best.settings["x"] >= 0


def test_a_whole_trial_has_the_mean_of_its_seeds() -> None:
    optimizer = RandomSearch(PLANE, budget=4)
    scheduler = Whole(optimizer, seeds=3)
    ended = searched(scheduler, parallel=2)
    assert [(work.trial, work.seed) for work, _ in sorted(ended, key=lambda one: one[0].number)] == [
        (trial, seed) for trial in range(4) for seed in range(3)
    ]
    means = [sum(v for w, v in ended if w.trial == trial) / 3 for trial in range(4)]
    assert scheduler.best is not None
    assert scheduler.best.value == pytest.approx(min(means), abs=1e-15)
    assert scheduler.best.trial == means.index(min(means))
    with pytest.raises(ValueError, match="seeds: a trial needs at least 1, but it is 0"):
        Whole(optimizer, seeds=0)


class TestRungs:
    def test_the_best_third_of_every_rung_goes_on_and_nothing_else(self) -> None:
        scheduler = Rungs(RandomSearch(PLANE, budget=27), steps=90, at=(10, 30))
        ended = searched(scheduler)
        assert [len(known) for known in scheduler.values] == [27, 9, 3]
        for work, _ in ended:
            assert (work.start, work.end) in [(0, 10), (10, 30), (30, 90)]
        # Each promoted run was among the best third of its rung when it was promoted.
        for place, (work, _) in enumerate(ended):
            if work.start:
                before = [v for w, v in ended[:place] if w.end == work.start]
                own = next(v for w, v in ended[:place] if w.trial == work.trial and w.end == work.start)
                assert sum(v < own for v in before) < len(before) // 3
        assert scheduler.best is not None
        assert scheduler.best.value == min(scheduler.values[2].values())
        steps = sum(work.end - work.start for work, _ in ended if work.end)
        assert steps == 27 * 10 + 9 * 20 + 3 * 60

    def test_a_run_without_a_finite_value_is_never_promoted(self) -> None:
        scheduler = Rungs(RandomSearch(PLANE, budget=27), steps=90, at=(10, 30))
        ended = searched(scheduler, lambda work: math.nan if work.trial % 2 else value_of(work))
        assert not [work for work, _ in ended if work.start and work.trial % 2]

    def test_what_does_not_suit_is_refused(self) -> None:
        optimizer = RandomSearch(PLANE, budget=8)
        for at in ((), (0,), (30, 10), (10, 90), (10, 10)):
            with pytest.raises(ValueError, match="at: the steps of the rungs must increase and be below the 90 steps"):
                Rungs(optimizer, steps=90, at=at)
        with pytest.raises(ValueError, match="a search of at least 9 trials, but this one has 8"):
            Rungs(optimizer, steps=90, at=(10, 30))
        with pytest.raises(ValueError, match="factor: it must be at least 2, but it is 1"):
            Rungs(optimizer, steps=90, at=(10,), factor=1)


class TestPopulation:
    def test_the_worst_quarter_become_forks_of_the_best(self) -> None:
        scheduler = Population(RandomSearch(PLANE, budget=8, seed=1), steps=120, every=30)
        ended = searched(scheduler, parallel=4)
        assert len(ended) == 8 * 4
        for step in (30, 60, 90):
            last = {w.trial: v for w, v in ended if w.end == step}
            forks = [w for w, _ in ended if w.start == step and w.parent is not None]
            ranked = sorted(last, key=lambda trial: last[trial])
            assert len(forks) == 2
            assert {fork.parent for fork in forks} <= set(ranked[:2])
            goes_on = {w.trial for w, _ in ended if w.start == step and w.parent is None}
            assert goes_on == set(ranked[:6])

    def test_a_member_that_is_nan_is_replaced_in_the_next_round(self) -> None:
        scheduler = Population(RandomSearch(PLANE, budget=8, seed=1), steps=120, every=30)
        ended = searched(scheduler, lambda work: math.nan if work.trial == 5 else value_of(work))
        assert [(w.start, w.end) for w, _ in ended if w.trial == 5] == [(0, 30)]
        assert 5 not in {w.parent for w, _ in ended}

    def test_the_lineage_of_the_best_says_how_it_was_trained(self) -> None:
        scheduler = Population(RandomSearch(PLANE, budget=8, seed=2), steps=120, every=30)
        ended = searched(scheduler, lambda work: value_of(work) - 5 * (work.trial >= 8))  # forks win
        best = scheduler.best
        assert best is not None and best.trial >= 8 and len(best.lineage) > 1
        assert [until for _, until in best.lineage][-1] is None
        assert best.lineage[-1][0] == best.settings
        untils = [until for _, until in best.lineage[:-1]]
        assert untils == sorted(untils) and set(untils) <= {30, 60, 90}
        trial, parts = best.trial, []
        while trial is not None:
            first = min((w for w, _ in ended if w.trial == trial), key=lambda w: w.start)
            parts.insert(0, first.settings)
            trial = first.parent
        assert [settings for settings, _ in best.lineage] == parts

    def test_new_settings_are_near_the_old_ones_within_bounds_or_drawn_anew(self) -> None:
        space = Space(
            {
                "norm": Choice(("rms", "layer")),
                "lr": Number(1e-4, 1e-1, log=True),
                "heads": Number(1, 8, whole=True),
                "eps": Number(1e-8, 1e-4, log=True, when={"norm": ["rms"]}),
            }
        )
        scheduler = Population(RandomSearch(space, budget=4), steps=60, every=30, resample=0.0)
        settings = {"norm": "rms", "lr": 0.01, "heads": 8, "eps": 1e-8}
        seen = [scheduler.explored(settings, scheduler.optimizer.generator("test", n)) for n in range(60)]
        assert {one["norm"] for one in seen} == {"rms"}
        assert {one["lr"] for one in seen} == {0.008, 0.012}
        assert {one["heads"] for one in seen} == {6, 8}  # 6.4 is rounded, 9.6 clipped
        assert {one["eps"] for one in seen} == {1e-8, 1.2e-8}
        scheduler = Population(RandomSearch(space, budget=4), steps=60, every=30, resample=1.0)
        seen = [scheduler.explored(settings, scheduler.optimizer.generator("test", n)) for n in range(60)]
        assert {one["norm"] for one in seen} == {"rms", "layer"}
        assert all(("eps" in one) == (one["norm"] == "rms") for one in seen)
        for one in seen:
            space.point(one)  # raises for settings that are not in the space

    def test_what_does_not_suit_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"at least 4 members \(trials\), but it has 3"):
            Population(RandomSearch(PLANE, budget=3), steps=90, every=30)
        optimizer = RandomSearch(PLANE, budget=8)
        for every in (0, 40, 90):
            with pytest.raises(ValueError, match="every: it must divide the 90 steps of a run and be less"):
                Population(optimizer, steps=90, every=every)
        with pytest.raises(ValueError, match=r"share: it must be above 0 and at most 0\.5"):
            Population(optimizer, steps=90, every=30, share=0.6)
        with pytest.raises(ValueError, match="resample: it must be from 0 to 1"):
            Population(optimizer, steps=90, every=30, resample=1.5)


class TestRace:
    def test_a_bad_challenger_costs_one_run_and_a_good_one_as_many_as_the_incumbent(self) -> None:
        truth = {0: 5.0, 1: 9.0, 2: 9.0, 3: 9.0, 4: 1.0, 5: 9.0}
        scheduler = Race(RandomSearch(PLANE, budget=6), seeds=4)
        ended = searched(scheduler, lambda work: truth[work.trial] + 0.1 * work.seed)
        assert [(work.trial, work.seed) for work, _ in ended] == [
            (0, 0),
            (0, 1), (1, 0),
            (0, 2), (2, 0),
            (0, 3), (3, 0),
            (4, 0), (4, 1), (4, 2), (4, 3),
            (5, 0),
        ]  # fmt: skip
        best = scheduler.best
        assert best is not None and (best.trial, best.runs) == (4, 4)
        assert best.value == pytest.approx(1.15)

    def test_a_lucky_first_run_does_not_make_an_incumbent(self) -> None:
        def value(work: Work) -> float:
            return 2.0 if work.trial == 0 else {0: 0.0}.get(work.seed, 9.0)

        scheduler = Race(RandomSearch(PLANE, budget=10), seeds=8)
        ended = searched(scheduler, value)
        assert scheduler.best is not None and scheduler.best.trial == 0
        assert max(work.seed for work, _ in ended if work.trial == 9) == 1  # out when its runs had doubled

    def test_what_does_not_suit_is_refused(self) -> None:
        with pytest.raises(ValueError, match="seeds: a race needs at least 2, but it is 1"):
            Race(RandomSearch(PLANE, budget=6), seeds=1)

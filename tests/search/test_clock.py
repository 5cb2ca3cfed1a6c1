"""The virtual clock: the order of a search depends on planned costs, not on workers."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.search.functions import OPTIMIZERS, PLANE, bowl, searched
from trimtab.search import HillClimb, RandomSearch
from trimtab.search.clock import VirtualClock
from trimtab.search.scheduler import Whole, Work


def cost(work: Work) -> float:
    return 1.0 + work.settings["x"] ** 2


def with_workers(name: str, workers: int, parallel: int, seed: int) -> list[tuple]:
    """The events of a search whose trials are evaluated by threads that take random times."""
    clock = VirtualClock(Whole(OPTIMIZERS[name](PLANE, budget=24, seed=1)), parallel=parallel, cost=cost)
    delays, lock, events = random.Random(seed), threading.Lock(), []

    def evaluate(settings: dict) -> float:
        with lock:
            delay = delays.random() / 500
        time.sleep(delay)
        return bowl(settings)

    with ThreadPoolExecutor(workers) as pool:
        results = {}
        while True:
            for one in clock.start():
                events.append(("asked", one.work.number, one.start, one.end, one.work.settings))
                results[one.work.number] = pool.submit(evaluate, one.work.settings)
            if not clock.pending:
                return events
            ended = clock.end(results[clock.next.work.number].result())
            events.append(("told", ended.work.number, clock.now))


@pytest.mark.parametrize("parallel", [1, 2, 4])
@pytest.mark.parametrize("name", ["pso", "annealing", "climb", "cma", "tpe"])
def test_any_number_of_workers_makes_the_same_search(name: str, parallel: int) -> None:
    searches = [with_workers(name, workers, parallel, seed) for seed, workers in enumerate((1, 2, 3, 7))]
    assert all(search == searches[0] for search in searches)
    most = max(
        sum(kind == "asked" for kind, *_ in searches[0][:i]) - sum(kind == "told" for kind, *_ in searches[0][:i])
        for i in range(len(searches[0]) + 1)
    )
    assert most == parallel


def test_one_at_a_time_is_asking_and_telling_in_turn() -> None:
    clock = VirtualClock(Whole(HillClimb(PLANE, budget=10, seed=0)))
    settings = []
    while clock.start() or clock.pending:
        settings.append(clock.next.work.settings)
        clock.end(bowl(settings[-1]))
    assert settings == [trial.settings for trial, _ in searched(HillClimb(PLANE, budget=10, seed=0))]
    assert clock.now == 10.0


def test_the_trial_that_ends_first_on_the_clock_is_told_first() -> None:
    costs = iter([5.0, 2.0, 1.0, 9.0, 9.0])
    clock = VirtualClock(Whole(RandomSearch(PLANE, budget=5)), parallel=2, cost=lambda work: next(costs))
    order = []
    while clock.start() or clock.pending:
        ended = clock.end(0.0)
        order.append((ended.work.number, ended.start, ended.end))
    # 0 runs to 5. Beside it 1 runs to 2, 2 to 3, 3 to 12; 4 starts when 0 ends.
    assert order == [(1, 0.0, 2.0), (2, 2.0, 3.0), (0, 0.0, 5.0), (3, 3.0, 12.0), (4, 5.0, 14.0)]


def test_what_does_not_suit_is_refused() -> None:
    with pytest.raises(ValueError, match="parallel: it must be at least 1, but it is 0"):
        VirtualClock(Whole(RandomSearch(PLANE, budget=5)), parallel=0)
    clock = VirtualClock(Whole(RandomSearch(PLANE, budget=5)), cost=lambda work: 0.0)
    with pytest.raises(ValueError, match="nothing is pending"):
        clock.end(1.0)
    with pytest.raises(ValueError, match=r"the planned cost of a run must be above 0 and finite, but it is 0\.0"):
        clock.start()

"""Main effects of the keys of a search."""

import numpy as np
import pytest

from trimtab.search import Choice, Number, RandomSearch, Space
from trimtab.search.importance import explained, importances

SPACE = Space(
    {
        "kind": Choice(("a", "b", "c")),
        "strong": Number(0.0, 1.0),
        "idle": Number(0.0, 1.0),
        "rare": Number(0.0, 1.0, when={"kind": ["a"]}),
    }
)


def trials(count: int, seed: int = 0) -> list[dict]:
    optimizer = RandomSearch(SPACE, budget=count, seed=seed)
    return [optimizer.ask().settings for _ in range(count)]


def test_a_key_that_decides_has_a_large_share_and_an_idle_one_none() -> None:
    settings = trials(200)
    values = [10 * s["strong"] + (s["kind"] == "b") for s in settings]
    found = {one.key: one for one in importances(SPACE, settings, values)}
    assert next(iter(found)) == "strong"
    assert found["strong"].share > 0.8 > 0.3 > found["kind"].share
    assert found["idle"].share < 0.05
    assert found["idle"].low == 0.0 < found["strong"].low <= found["strong"].share <= found["strong"].high
    assert found["rare"].trials == sum("rare" in s for s in settings)


def test_on_noise_the_shares_are_about_zero() -> None:
    shares = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        settings = trials(30, seed)
        shares += [one.share for one in importances(SPACE, settings, random.random(30).tolist(), draws=20)]
    assert np.mean(shares) < 0.06  # not below 0, so a little above it


def test_diverged_trials_do_not_count_for_all_and_few_trials_give_no_estimate() -> None:
    settings = trials(60)
    values = [s["strong"] for s in settings]
    values[0], values[1] = np.inf, np.nan
    assert {one.key: one for one in importances(SPACE, settings, values)}["strong"].share > 0.7
    assert importances(SPACE, settings[:11], values[:11]) == []


def test_the_adjusted_share_of_a_table_computed_by_hand() -> None:
    y = np.array([1.0, 2.0, 3.0, 6.0, 7.0, 8.0])
    groups = np.array([0, 0, 0, 1, 1, 1])
    # The mean is 4.5. Between the groups 37.5, within them 4 with 4 degrees of freedom; in all 41.5 with 5.
    assert explained(groups, y) == pytest.approx(1 - (4 / 4) / (41.5 / 5), abs=1e-12)
    assert explained(np.zeros(6), y) == 0.0
    assert explained(groups, np.ones(6)) == 0.0

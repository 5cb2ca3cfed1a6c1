"""Random and grid search."""

import pytest
from scipy import stats

from tests.search.functions import PLANE, searched
from trimtab.search import Choice, GridSearch, Number, RandomSearch, Space


def test_random_points_are_uniform() -> None:
    told = searched(RandomSearch(PLANE, budget=2000, seed=0))
    for index in range(2):
        assert stats.kstest([trial.point[index] for trial, _ in told], "uniform").pvalue > 0.01


def test_a_grid_has_every_combination_once_in_an_order_that_depends_on_the_seed() -> None:
    space = Space({"n": Number(1, 2, whole=True), "x": Number(0.0, 1.0), "c": Choice(("a", None))})
    orders = []
    for seed in (0, 0, 1):
        told = searched(GridSearch(space, budget=20, seed=seed, levels={"x": 5}), lambda _: 0.0)
        orders.append([tuple(trial.settings.values()) for trial, _ in told])
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == {(n, x, c) for n in (1, 2) for x in (0.1, 0.3, 0.5, 0.7, 0.9) for c in ("a", None)}


def test_void_keys_do_not_repeat_settings_in_a_grid() -> None:
    space = Space({"kind": Choice(("a", "b")), "x": Number(0.0, 1.0, when={"kind": ["a"]})})
    told = searched(GridSearch(space, budget=4, levels=3), lambda _: 0.0)
    assert sorted(len(trial.settings) for trial, _ in told) == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": 4}, r"levels: the grid has 16 settings \(4 × 4\), but the budget is 10 trials$"),
        ({"levels": 3, "initial": [{"x": 0.0, "y": 1.0}] * 2}, "the budget is 10 trials, 2 of them given"),
        ({"levels": {"x": 0}}, "levels: x must have at least 1 value, not 0"),
    ],
)
def test_a_grid_that_does_not_fit_is_refused(options, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GridSearch(PLANE, budget=10, **options)

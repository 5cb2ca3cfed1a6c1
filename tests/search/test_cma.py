"""CMA-ES: the package's own trials, generations, refusals."""

import numpy as np
import pytest
from cmaes import CMA

from tests.search.functions import PLANE, searched
from trimtab.random import derive_seed
from trimtab.search import Number, Space
from trimtab.search.cma import CmaEs


def test_one_after_the_other_its_trials_are_the_packages() -> None:
    ours = searched(CmaEs(PLANE, budget=30, seed=4, population=5))
    package = CMA(
        mean=np.full(2, 0.5),
        sigma=0.25,
        bounds=np.array([[0.0, 1.0]] * 2),
        seed=derive_seed(4, "search", "cma") % 2**32,
        population_size=5,
    )
    for generation in range(6):
        asked = [package.ask() for _ in range(5)]
        mine = ours[5 * generation : 5 * generation + 5]
        np.testing.assert_array_equal([trial.point for trial, _ in mine], asked)
        package.tell([(trial.point, value) for trial, value in mine])


@pytest.mark.parametrize("parallel", [1, 3, 8])
def test_it_finds_the_bowl_with_pending_trials_too(parallel: int) -> None:
    values = [min(v for _, v in searched(CmaEs(PLANE, budget=60, seed=seed), parallel=parallel)) for seed in range(10)]
    assert np.median(values) < 0.02


def test_what_does_not_suit_is_refused() -> None:
    with pytest.raises(ValueError, match="cma: it needs at least two keys"):
        CmaEs(Space({"x": Number(0.0, 1.0)}), budget=5)
    with pytest.raises(ValueError, match="step: it must be above 0 and at most 1"):
        CmaEs(PLANE, budget=5, step=2.0)
    with pytest.raises(ValueError, match="population: it must be at least 4"):
        CmaEs(PLANE, budget=5, population=1)

import numpy as np
import pytest

from trimtab.errors import DataError
from trimtab.evidence import clustered_interval, t_interval


def test_every_cluster_has_the_same_weight():
    result = clustered_interval([1, 1, 1, 1, 5, 3], ["a", "a", "a", "a", "b", "c"])
    assert result.mean == 3
    expected = t_interval([1.0, 5.0, 3.0])
    assert result.interval == (expected.low, expected.high)
    assert (result.effects, result.clusters, result.sizes) == (6, 3, (4, 1, 1))
    assert "once" in result.weights


def test_one_cluster_has_no_interval_and_says_so():
    result = clustered_interval([1.0, 2.0, 3.0], [7, 7, 7])
    assert (result.mean, result.interval) == (2, None)
    assert "one cluster" in result.note
    assert "equal" in clustered_interval([1.0, 1.0], [1, 2]).note


def test_the_clustered_interval_covers_where_one_over_interventions_does_not():
    generator = np.random.default_rng(1)
    covered, naive = [], []
    for _ in range(400):
        effects = (generator.normal(size=(8, 1)) + 0.3 * generator.normal(size=(8, 10))).ravel()
        low, high = clustered_interval(effects, np.repeat(np.arange(8), 10).tolist()).interval
        covered.append(low < 0 < high)
        plain = t_interval(effects)
        naive.append(plain.low < 0 < plain.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.04)
    assert np.mean(naive) < 0.6


def test_effects_and_clusters_of_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="its cluster"):
        clustered_interval([1.0], ["a", "b"])

"""The benchmark of an experiment of many tiny episodes."""

import pytest

from trimtab.bench.experiment import bench_experiment


@pytest.mark.slow
def test_a_small_experiment_is_measured() -> None:
    said: list[str] = []
    figures = bench_experiment(2, said.append, episodes=4, steps=3)
    assert said == ["an experiment of 4 tiny episodes of 3 steps each, in 2 worker processes"]
    assert figures["experiment.episodes_per_second"] == 4 / figures["experiment.seconds"]
    assert 0 < figures["experiment.percent_in_steps"] < 100

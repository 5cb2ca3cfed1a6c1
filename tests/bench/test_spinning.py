"""The benchmark of spin counts: real measurements, and refused names."""

import pytest

from tests.training.small_runs import command
from trimtab.bench.spinning import SITUATIONS, bench_spinning


@pytest.mark.slow
def test_every_setting_is_measured_in_every_situation() -> None:
    figures = bench_spinning(("tiny_training",), ("library", "passive"), 0.1, 1, lambda text: None)
    shares = {f"tiny_training.{setting}.{where}" for setting in ("library", "passive") for where in SITUATIONS}
    assert set(figures) == shares | {"tiny_training.one_thread"}
    assert all(value > 0 for value in figures.values())
    assert figures["tiny_training.library.alone"] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workloads", "cooking"], "--workloads: 'cooking' is unknown. Known: training,"),
        (["--settings", "library,never"], "--settings: 'never' is unknown"),
        (["--settings", "passive"], "--settings needs 'library'"),
    ],
)
def test_an_unknown_name_is_refused(options: list[str], words: str) -> None:
    done = command("bench", "spinning", *options)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr

"""Invariant 2: observers, evaluation, checkpoints, samples and sinks leave the weights bit-identical."""

from pathlib import Path

import pytest

from tests.training.parts import Seen
from tests.training.runs import DECODER, SMALL, config
from trimtab.training import train


@pytest.fixture(scope="module", params=[SMALL, DECODER], ids=["user's model", "decoder"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    out = tmp_path_factory.mktemp("plain") / "run"
    return request.param, train(config(base=request.param), out)["weights_sha256"]


@pytest.mark.parametrize(
    "change",
    [
        "hooks=[{name: activation_stats, every: 1}]",
        "hooks=[{name: 'tests.training.parts:Seen'}]",
        "hooks=[{name: 'tests.training.parts:Double', enabled: false}]",
        "episode.evaluate_every=3",
        "episode.checkpoint_every=5",
        "episode.keep_checkpoints=1",
        "episode.sample.tokens=12",
        "monitor.every=5",
        "monitor.horizon=3",
    ],
)
def test_it_changes_nothing(plain: tuple[list[str], str], tmp_path: Path, change: str) -> None:
    base, expected = plain
    assert train(config(change, base=base), tmp_path / "run")["weights_sha256"] == expected


@pytest.mark.parametrize("change", ["seed=1", "episode.batch_size=5", "hooks=[{name: 'tests.training.parts:Double'}]"])
def test_what_should_change_the_weights_does(plain: tuple[list[str], str], tmp_path: Path, change: str) -> None:
    base, expected = plain
    assert train(config(change, base=base), tmp_path / "run")["weights_sha256"] != expected


def test_observers_are_shown_everything(tmp_path: Path) -> None:
    Seen.totals.clear()
    train(config("hooks=[{name: 'tests.training.parts:Seen'}]"), tmp_path / "run")
    assert Seen.totals == {"activations": 24, "steps": 24, "evaluations": 3, "checkpoints": 6, "ends": 1}

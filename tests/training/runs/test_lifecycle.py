"""How a run in a folder starts."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.small_runs import DECODER, config
from trimtab.records import RunDirectory
from trimtab.runtime.logger import Row
from trimtab.training import RunContext, train


class Failing:
    """A display that raises at one call."""

    def __init__(self, at: str) -> None:
        self.at = at

    def begin(self, steps: int) -> None:
        self._fail("begin")

    def step(self, row: Row) -> None:
        self._fail("step")

    def event(self, row: Row) -> None:
        self._fail("event")

    def evaluation(self, row: Row) -> None:
        pass

    def _fail(self, call: str) -> None:
        if call == self.at:
            raise MemoryError


@pytest.mark.parametrize("at", ["begin", "event"])
def test_a_start_that_fails_before_its_first_step_can_be_tried_again(tmp_path: Path, at: str) -> None:
    settings = config("episode.steps=2", base=DECODER)
    for _ in range(2):
        with pytest.raises(MemoryError):
            train(settings, tmp_path / "run", RunContext(display=Failing(at)))
        assert list(tmp_path.iterdir()) == []
    result: dict[str, Any] = train(settings, tmp_path / "run", RunContext())
    assert result["status"] == "completed"


def test_a_run_that_made_a_step_is_kept(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        train(config("episode.steps=2", base=DECODER), tmp_path / "run", RunContext(display=Failing("step")))
    assert len(RunDirectory(tmp_path / "run").steps()) == 1

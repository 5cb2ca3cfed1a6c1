"""The recorded run that ships with Trimtab, written out in full."""

import math
from pathlib import Path

import pytest

from trimtab.hud.demo import Replay, recording


def write_demo(folder: Path) -> Path:
    """Write the recorded run into `folder`, finished, and return it."""
    replay = Replay(recording(), folder, speed=1.0)
    replay.write_until(math.inf)
    replay.release()
    return folder


@pytest.fixture(scope="session")
def demo_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recorded run `routes`. No test writes to the run."""
    runs = tmp_path_factory.mktemp("runs")
    write_demo(runs / "routes")
    return runs

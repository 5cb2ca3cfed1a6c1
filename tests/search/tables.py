"""A table of made-up runs whose best settings are known."""

import numpy as np

from trimtab.search import Choice, Number, Space
from trimtab.search.table import RecordedRun, RecordedSetting, Table

SPACE = {
    "x": {"low": -2.0, "high": 2.0},
    "y": {"low": 0.01, "high": 100.0, "log": True},
    "c": {"values": ["a", "b"]},
}
STEPS = [10, 30, 90]
NOISE = 0.05


def made_up(settings: int = 200, seeds: int = 4, *, seed: int = 0) -> Table:
    """The value of a whole run is lowest at x = 0.5, y = 1, c = "a"; shorter runs have a higher value and more noise."""
    space = Space({"x": Number(-2.0, 2.0), "y": Number(0.01, 100.0, log=True), "c": Choice(("a", "b"))})
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(settings):
        made = space.settings(random.random(3))
        value = truth(made)
        runs = [
            RecordedRun(
                values=[
                    value + extra + noise * random.standard_normal()
                    for extra, noise in ((2.0, 0.3), (1.0, 0.1), (0.0, NOISE))
                ],
                tokens=[100, 300, 900],
            )
            for _ in range(seeds)
        ]
        rows.append(RecordedSetting(settings=made, runs=runs))
    return Table(metric="loss", higher_is_better=False, run={}, space=SPACE, steps=STEPS, source={}, rows=rows)


def truth(settings: dict) -> float:
    return float((settings["x"] - 0.5) ** 2 + np.log10(settings["y"]) ** 2 + 0.5 * (settings["c"] == "b"))

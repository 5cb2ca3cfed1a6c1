import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.small_runs import environment
from trimtab.reports import style

COLOURS = {name: value for name, value in vars(style).items() if name.isupper() and str(value).startswith("#")}


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("paper", ["#ffffff", "#14171c"])
def test_every_colour_can_be_seen_on_light_and_on_dark(name, paper):
    assert contrast(COLOURS[name], paper) >= 3


def test_there_are_colours_and_the_measure_is_right():
    assert len(COLOURS) == 8
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


@pytest.mark.parametrize(
    "drawing",
    [
        "from trimtab.reports.style import style\nwith style(): pass",
        "from trimtab.reports.drawing import drawable\ndrawable('é')",
        "from trimtab.reports.drawing import plot\nplot('a', 'b', 'c', lambda figure, axes: None)",
        "from trimtab.records import RunDirectory\nfrom trimtab.reports.curves import _draw\n_draw(RunDirectory('none'))",
    ],
)
def test_a_settings_file_in_the_working_folder_is_not_read(tmp_path: Path, drawing: str) -> None:
    os.mkfifo(tmp_path / "matplotlibrc")  # reading it would never end
    program = f"{drawing}\nimport os, sys\nassert 'matplotlib' in sys.modules\nprint(os.getcwd())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == f"{tmp_path}\n", done.stderr

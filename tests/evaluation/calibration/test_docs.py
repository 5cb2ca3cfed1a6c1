"""The example of the documentation prints what it says."""

import contextlib
import io
import re
from pathlib import Path

from tests.evaluation.calibration.coverage import FIGURES, TRUTHS, covered
from tests.evaluation.calibration.samples import clustered, overconfident

PAGE = (Path(__file__).parents[3] / "docs" / "calibration.md").read_text(encoding="utf-8")


def test_the_example_prints_the_documented_output():
    code, expected = re.findall(r"```(?:python|text)\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/calibration.md", "exec"), {})
    assert printed.getvalue() == expected


def test_no_page_has_a_placeholder():
    for page in Path(__file__).parents[3].glob("docs/*.md"):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.findall(r"\b(?:[A-Z]+_[A-Z_]+|TIMING|TODO|TBD|FIXME)\b", text), page.name


def test_the_coverage_table_agrees_with_a_small_measurement():
    stated = {
        cells[0]: [1.0 if cell == "1" else float(cell) for cell in cells[2:]]
        for line in PAGE.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 2 + len(FIGURES)
        and cells[1] in ("100", "200")
    }
    assert len(stated) == 4
    rows = list(stated.values())
    small = covered(lambda seed: overconfident(100, seed), TRUTHS["surer than right by .1"], 60, resamples=200)
    named = covered(lambda seed: clustered(200, seed), {}, 60, resamples=200)
    for row, result in ((rows[1], small), (rows[2], named)):
        for name, share, again in zip(FIGURES, row, result.values(), strict=True):
            assert abs(share - again) < 0.12, name

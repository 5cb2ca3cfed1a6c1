"""The example of the documentation prints what it says."""

import contextlib
import io
import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "calibration.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says():
    code, expected = re.findall(r"```(?:python|text)\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "docs/calibration.md", "exec"), {})
    assert printed.getvalue() == expected

"""The examples in docs/tasks.md, computed again."""

import re
from fractions import Fraction
from pathlib import Path

from tests.data.tasks.test_urns import truth

PAGE = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")


def test_every_example_of_arithmetic_is_right() -> None:
    section = PAGE.partition("\n## arithmetic\n")[2].partition("\n## ")[0]
    plain = re.findall(r"`([0-9+*-]+)=` → `(\d+)`", section)
    assert len(plain) == 15
    worked = re.findall(r"`([0-9+*-]+)=` \| `([0-9+*=;-]+)`", section)
    assert len(worked) == 4
    for prompt, answer in [*plain, *worked]:
        *steps, final = answer.split(";")
        assert eval(prompt) == int(final)
        assert all(eval(step.replace("=", "==")) for step in steps)


def test_every_example_of_urns_is_right() -> None:
    section = PAGE.partition("\n## urns\n")[2].partition("\n## ")[0]
    rows = re.findall(r"\| \d \| `([^`]+:)`[^|]*\| (.*) \|", section)
    assert len(rows) == 9
    for prompt, options in rows:
        documented = {option: Fraction(share) for option, share in re.findall(r"`(.)` ([0-9/]+)", options)}
        assert {option: share for option, share in documented.items() if share} == truth(prompt)

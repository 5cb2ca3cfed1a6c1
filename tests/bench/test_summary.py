"""The table of all benchmarks, its JSON, and the comparison with an earlier one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_runs import command
from trimtab.bench.cases import CASES
from trimtab.bench.summary import FORMAT, PARTS, ROWS, changes, read_document, table
from trimtab.config import ConfigError

MEASURED: dict[str, Any] = {
    "training.tiny.tokens_per_second.ours": 40_000.0,
    "training.tiny.tokens_per_second.fp32_loop": 30_000.0,
    "training.tiny.ratio": 1.337,
    "training.tiny.share_of_peak": 0.424,
    "time_to_loss.fast.seconds": 20.0,
    "time_to_loss.peer.seconds": 200.0,
    "time_to_loss.fast.times_faster": None,
}


def test_the_table_has_a_row_for_each_measured_part_and_no_other() -> None:
    assert table(MEASURED) == [
        ["training step, tiny (tokens/s)", "40,000", "30,000", "", "1.34", "42%"],
        ["time to the peer's loss (s)", "20", "", "200", "", ""],
    ]
    assert table({}) == []
    assert set(CASES) < set(PARTS)


def test_a_comparison_is_above_one_where_it_is_better_now() -> None:
    earlier = {"training.tiny.tokens_per_second.ours": 20_000.0, "time_to_loss.fast.seconds": 10.0, "unknown": 1.0}
    assert changes(MEASURED, earlier) == [
        ["training step, tiny (tokens/s)", "20,000", "40,000", "2.00"],
        ["time to the peer's loss (s)", "10", "20", "0.50"],
    ]
    assert changes(MEASURED, {"training.tiny.tokens_per_second.ours": "fast"}) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[1]", "has no figures"),
        ('{"figures": {}}', "has no figures"),
        (json.dumps({"format": FORMAT + 1, "figures": {}}), f"has the format {FORMAT + 1}, and this version"),
    ],
)
def test_a_file_that_is_no_measurement_is_refused_before_anything_is_measured(
    tmp_path: Path, content: str, words: str
) -> None:
    path = tmp_path / "before.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        read_document(path)
    done = command("bench", "--parts", "tiny", "--compare", str(path))
    assert (done.returncode, words in done.stderr, done.stdout) == (2, True, ""), done.stderr


def test_an_unknown_part_is_refused() -> None:
    done = command("bench", "--parts", "tiny,huge")
    assert (done.returncode, "--parts: 'huge' is unknown. Known: default, modern, tiny," in done.stderr) == (2, True)


@pytest.mark.slow
def test_small_steps_are_measured_and_compared_with_an_earlier_measurement(tmp_path: Path) -> None:
    first = command("bench", "--parts", "modern,tiny", "--rounds", "3", "--json")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    figures = made["figures"]
    for case in ("modern", "tiny"):
        assert figures[f"training.{case}.ratio_min"] <= figures[f"training.{case}.ratio"]
        assert 0 < figures[f"training.{case}.share_of_peak"] < 1
    assert set(figures) & {row.ours for row in ROWS} == {
        f"training.{c}.tokens_per_second.ours" for c in ("modern", "tiny")
    }
    path = tmp_path / "before.json"
    path.write_text(first.stdout)
    second = command("bench", "--parts", "tiny", "--rounds", "3", "--compare", str(path))
    assert second.returncode == 0, second.stderr
    assert f"Compared with {path} ({made['machine']['cpu']})" in second.stdout
    assert second.stdout.count("training step, tiny (tokens/s)") == 2

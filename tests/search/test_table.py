"""Tables of recorded runs."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.search.tables import SPACE, made_up
from trimtab.search import HillClimb
from trimtab.search.replay import Recordings, replay
from trimtab.search.scheduler import Whole
from trimtab.search.table import RecordedSpace, Table, read_table


def test_a_table_is_read_as_it_was_written_and_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    table = made_up(20)
    table.write(tmp_path / "a.gz")
    table.write(tmp_path / "b.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    read, sha256 = read_table(tmp_path / "a.gz")
    assert read == table and len(sha256) == 64
    assert list(read.rows[0].settings) == ["x", "y", "c"]


def changed(**changes: Any) -> bytes:
    return gzip.compress(json.dumps({**made_up(2).model_dump(mode="json"), **changes}).encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "it is not compressed with gzip, or damaged"),
        (changed()[:-20], "it ends too early"),
        (gzip.compress(b"{"), "it holds no JSON"),
        (changed(steps=[30, 10, 90]), "the steps do not increase"),
        (changed(steps=[10, 90]), "a run does not have a value for each step"),
        (changed(rows=[]), "rows"),
        (changed(more=1), "more"),
        (changed(format=2), "format"),
        (changed(space={}), "a search space needs at least one key"),
        (changed(space={**SPACE, "x": {"low": 2.0, "high": -2.0}}), "low must be below high"),
        (changed(space={**SPACE, "x": {"low": 0.0, "high": 0.001}}), "x: .* is not between 0.0 and 0.001"),
        (changed(space={**SPACE, "x": {"low": "a", "high": 1.0}}), "space.x.low"),
        (changed(space={**SPACE, "c": {"values": 3}}), "space.c.values"),
        (changed(space={**SPACE, "c": {"values": ["a", "b"], "when": {"z": [1]}}}), "its `when` names z"),
        (changed(space={**SPACE, "c": {"values": ["a", "b"], "more": 1}}), "more"),
    ],
    ids=[
        "text",
        "cut",
        "no JSON",
        "steps",
        "lengths",
        "empty",
        "unknown key",
        "format",
        "no space",
        "bounds",
        "outside",
        "text",
        "no list",
        "when",
        "key of a key",
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.gz")


def test_a_table_that_unpacks_to_more_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trimtab.search.table._LARGEST", 1 << 20)
    (tmp_path / "t.gz").write_bytes(gzip.compress(bytes(2 << 20), 1))
    with pytest.raises(ValueError, match="it is larger than 1 MB when it is unpacked"):
        read_table(tmp_path / "t.gz")


def test_a_point_stands_for_the_nearest_setting_with_the_same_choice() -> None:
    table = made_up(60)
    space = RecordedSpace(table)
    random = np.random.default_rng(1)
    for _ in range(200):
        point = random.random(3)
        settings = space.settings(point)
        same = [one for one in space.rows if one["c"] == ("a" if point[2] < 0.5 else "b")]
        distances = [np.hypot(*(space.point(one) - point)[:2]) for one in same]
        assert settings == same[int(np.argmin(distances))]
        assert space.settings(space.point(settings)) == settings
    assert space.row(space.rows[7]) == 7
    with pytest.raises(ValueError, match="these settings are not in the table"):
        space.row({"x": 0.0, "y": 1.0, "c": "a"})


def test_keys_that_are_not_used_do_not_count_for_the_distance() -> None:
    space = {"c": {"values": ["a", "b"]}, "x": {"low": 0.0, "high": 1.0, "when": {"c": ["b"]}}}
    runs = made_up(1).rows[0].runs
    rows = [{"settings": one, "runs": runs} for one in ({"c": "a"}, {"c": "b", "x": 0.1}, {"c": "b", "x": 0.8})]
    table = Table.model_validate({**made_up(1).model_dump(), "space": space, "rows": rows})
    recorded = RecordedSpace(table)
    assert recorded.settings(np.array([0.2, 0.9])) == {"c": "a"}
    assert recorded.settings(np.array([0.9, 0.7])) == {"c": "b", "x": 0.8}


def test_a_search_is_repeated_on_a_table() -> None:
    table = made_up()
    recordings = Recordings(table)
    order = np.array([2, 0, 1, 3])
    result = replay(Whole(HillClimb(recordings.space, budget=30), seeds=2), recordings, order)
    assert result.found is not None and result.steps == 30 * 2 * 90
    row = recordings.space.row(result.found.settings)
    own = [table.rows[row].runs[seed].values[-1] for seed in (2, 0)]
    assert result.found.value == pytest.approx(sum(own) / 2, abs=1e-12)
    unused = [table.rows[row].runs[seed].values[-1] for seed in (1, 3)]
    assert result.truth == pytest.approx(sum(unused) / 2, abs=1e-12)
    again = replay(Whole(HillClimb(recordings.space, budget=30), seeds=2), recordings, order)
    assert again == result

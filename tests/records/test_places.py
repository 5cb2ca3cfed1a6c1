from pathlib import PurePosixPath

import pytest

from trimtab.records.places import cell_folder, place

VALUES = [
    0.01, 1, 1.0, "1", "1.0", True, "True", None, "None", [1, 2], "[1, 2]", {"b": 1, "a": 2}, '{"a": 2, "b": 1}', "a", "a/",
    "/a", "../a", "..", ".", "", " ", "a b", "a_b", "x" * 300, "x" * 301, "a\0b", "\x1b[2J", "\udcff", "日本", "nan", "1e3", '"1"',
]  # fmt: skip


def test_different_values_of_a_factor_have_different_folders():
    folders = [cell_folder("data.path", value) for value in VALUES]
    assert len(set(folders)) == len(VALUES)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_a_value_names_one_folder_below_the_experiments_own(tmp_path, value):
    for name in (cell_folder("data.path", value), place("episodes", str(value) or "x", 0, {"a.b": value})):
        assert ".." not in PurePosixPath(name).parts
        (tmp_path / name).mkdir(parents=True)
        assert (tmp_path / name).resolve().is_relative_to(tmp_path.resolve())
    assert "/" not in cell_folder("data.path", value)


def test_plain_values_keep_their_names():
    cell = {"episode.optimizer.lr": 0.01, "model.layers": 4, "episode.precision": "bf16", "episode.clip": None}
    assert place("episodes", "plain", 3, cell) == "episodes/plain/seed-3/lr-0.01/layers-4/precision-bf16/clip-None"
    assert place("noise", None, 0, {}) == "noise/seed-0"
    assert place("twins", "dropout=0.1", 12, {}) == "twins/dropout=0.1/seed-12"


def test_the_order_of_a_mappings_keys_does_not_matter():
    assert cell_folder("data", {"name": "task", "path": "x"}) == cell_folder("data", {"path": "x", "name": "task"})

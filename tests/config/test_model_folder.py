"""Files of a model's folder: none outside it, none without an end."""

import json
import os
from pathlib import Path

import pytest

from trimtab.config import DataError
from trimtab.config.model_folder import JSON_LIMIT, entries, member, read_mapping, read_member


@pytest.mark.parametrize("name", ["../other.json", "/etc/hostname", "a/b", "..", "", "a\0b", "a\\b", "\ud800"])
def test_a_name_with_a_path_in_it_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not the plain name of a file there") as caught:
        member(tmp_path, name)
    assert str(caught.value).isprintable()


def test_a_link_is_followed_inside_the_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "own.json").write_text("{}")
    (tmp_path / "private.json").write_text("{}")
    (folder / "inside.json").symlink_to("own.json")
    assert read_member(folder, "inside.json") == b"{}"
    for number, target in enumerate(
        ("../private.json", str(tmp_path / "private.json"), "../model/../private.json", "/dev/zero")
    ):
        (folder / f"{number}.json").symlink_to(target)
        with pytest.raises(DataError, match=r"is a link to \S+, which is outside the model's folder.*cp -L"):
            member(folder, f"{number}.json")
    (folder / "again.json").symlink_to("0.json")
    with pytest.raises(DataError, match="outside the model's folder"):
        member(folder, "again.json")
    (folder / "nowhere.json").symlink_to("missing.json")
    (folder / "round.json").symlink_to("round.json")
    for name in ("nowhere.json", "round.json"):
        with pytest.raises(DataError, match="which does not exist"):
            member(folder, name)
    (tmp_path / "linked").symlink_to("model")
    assert member(tmp_path / "linked", "inside.json") is not None


def test_links_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--name"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (tmp_path / "hub" / "blobs" / "ab").mkdir(parents=True)
    (repository / "blobs" / "one").write_text('{"a": 1}')
    (tmp_path / "hub" / "blobs" / "ab" / "two").write_text('{"a": 2}')
    (repository / "blobs" / "two").symlink_to("../../blobs/ab/two")
    (snapshot / "one.json").symlink_to("../../blobs/one")
    (snapshot / "two.json").symlink_to("../../blobs/two")
    assert [read_mapping(snapshot, f"{name}.json") for name in ("one", "two")] == [{"a": 1}, {"a": 2}]
    (tmp_path / "private.json").write_text("{}")
    (snapshot / "three.json").symlink_to("../../../../private.json")
    with pytest.raises(DataError, match="outside the model's folder"):
        member(snapshot, "three.json")


def test_anything_but_a_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("pipe.json")
    for name in ("pipe.json", "folder.json", "link.json"):
        with pytest.raises(DataError, match=f"{name} is not a regular file"):
            read_member(tmp_path, name)
    assert member(tmp_path, "missing.json") is None
    assert read_member(tmp_path, "missing.json") is None
    assert read_mapping(tmp_path, "missing.json") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "holds no mapping"),
        (b"{", r"cannot be read as JSON: it is not valid JSON \(Expecting"),
        (b"\xff\xfe{}", "cannot be read as JSON: .*is not UTF-8"),
        (b'{"vocab_size": 5, "vocab_size": 6}', "has the key 'vocab_size' twice, with 5 and with 6"),
        (b'{"a": {"b": 5, "b": 5}}', "has the key 'b' twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": 1e999}', "the number 1e999 in it is too large"),
        (b'{"a": ' + b"[" * 100_000, "cannot be read as JSON: it is nested too deeply"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "is nested more than 32 levels deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "a number in it is too large"),
        (b" " * (JSON_LIMIT + 1), "cannot be read: it has more than"),
    ],
)
def test_a_file_that_is_no_mapping_says_why(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_mapping(tmp_path, "config.json")
    assert len(str(caught.value)) < 1000


def test_an_infinite_limit_of_a_config_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"time_step_limit": [-Infinity, Infinity]}')
    assert read_mapping(tmp_path, "config.json") == {"time_step_limit": [float("-inf"), float("inf")]}


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_mapping(tmp_path, "config.json") == {"a": 1}


def test_entries_are_those_of_every_depth() -> None:
    content = json.loads('{"a": 1, "b": {"c": [2, {"d": 3}]}}')
    result = {(key, value) for key, value, _ in entries(content) if isinstance(value, int)}
    assert result == {("a", 1), ("c", 2), ("d", 3)}

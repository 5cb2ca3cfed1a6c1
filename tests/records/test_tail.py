"""Following a file of rows: what is read equals the file, whatever happens to it between two reads."""

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.records.jsonl import encode_row
from trimtab.records.tail import Read, Tail, glimpse


def everything(tail: Tail, rows: list[dict], limit: int = 1 << 18) -> list[dict]:
    """The rows known after reading to the end, beginning with those known before."""
    while True:
        read = tail.read(limit)
        rows = [] if read.restart else rows
        rows = rows + read.rows
        if not read.more:
            return rows


def row(step: int, rng: random.Random) -> bytes:
    return encode_row({"step": step, "train_loss": rng.random(), "seconds": rng.random(), "lr": 0.001})


def test_only_whole_lines_are_read_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    tail = Tail(path)
    assert tail.read().rows == [{"step": 1}, {"step": 2}]
    assert tail.read() == Read()
    with path.open("ab") as file:
        file.write(b'ep": 3}\n')
    assert tail.read().rows == [{"step": 3}]


def test_a_missing_file_gives_nothing_and_a_removed_one_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    tail = Tail(path)
    assert tail.read() == Read()
    path.write_bytes(b'{"step": 1}\n')
    assert tail.read().rows
    path.unlink()
    assert tail.read().restart
    assert tail.read() == Read()


def test_a_line_longer_than_the_piece_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(encode_row({"text": "x" * 5000}) + b'{"a": 1}\n')
    assert [len(one.get("text", "")) for one in everything(Tail(path), [], limit=100)] == [5000, 0]


def test_damaged_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\nnot json\n[1]\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"a": 2}\n')
    read = Tail(path).read(1 << 20)
    assert read.rows == [{"a": 1}, {"a": 2}]
    assert read.damaged == 4


@pytest.mark.parametrize("seed", range(10))
def test_a_file_that_is_cut_and_grows_again_between_reads_is_read_as_it_is(tmp_path: Path, seed: int) -> None:
    """A resumed run cuts its file at a row and writes other rows, often beyond the old end: 100 times in each of ten files."""
    rng = random.Random(seed)
    path = tmp_path / "steps.jsonl"
    lines: list[bytes] = []
    tail, known = Tail(path), []
    for _ in range(100):
        if lines and rng.random() < 0.7:
            del lines[rng.randrange(len(lines)) :]
            with path.open("r+b") as file:
                file.truncate(sum(map(len, lines)))
        new = [row(len(lines) + place, rng) for place in range(rng.randrange(0, 40))]
        with path.open("ab") as file:
            file.write(b"".join(new))
        lines += new
        known = everything(tail, known, limit=rng.choice((256, 4096, 1 << 18)))
        assert known == [json.loads(line) for line in lines]


def test_a_replaced_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n')
    tail = Tail(path)
    known = everything(tail, [])
    other = tmp_path / "other"
    other.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    other.replace(path)
    assert everything(tail, known) == [{"a": 1}, {"a": 2}]


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_nothing_is_raised_for_any_bytes(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("bytes") / "rows.jsonl"
    path.touch()
    tail = Tail(path)
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece + b"\n")
        assert all(isinstance(one, dict) for one in tail.read().rows)


def test_nothing_is_raised_for_a_folder_a_pipe_and_a_dangling_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "link"):
        assert Tail(path).read().rows == []
        assert glimpse(path) == []


def test_an_overview_has_the_last_rows_and_rows_from_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(encode_row({"step": step, "text": "x" * 80}) for step in range(20_000)))
    rows = glimpse(path, places=100, tail=10_000)
    steps = [one["step"] for one in rows]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[-1] == 19_999
    assert len(rows) < 300
    assert max(after - before for before, after in zip(steps, steps[1:], strict=False)) < 400

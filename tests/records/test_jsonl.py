import json
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.test_values import trees
from trimtab.errors import RunError, WorkError
from trimtab.records import JsonlReader, JsonlWriter, last_row, read_rows, truncate
from trimtab.records.hashing import seal_of
from trimtab.records.rows import Number, Row
from trimtab.records.values import same, to_json


class Measure(Row):
    x: Number


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.text(), trees, max_size=3), max_size=3))
def test_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("round") / "rows.jsonl"
    with JsonlWriter(path) as writer:
        for row in rows:
            writer.write(row)
        assert writer.offset() == path.stat().st_size
    assert read_rows(path) == [to_json(row) for row in rows]
    assert last_row(path) == (to_json(rows[-1]) if rows else None)


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=1))
def test_floats_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("floats") / "rows.jsonl"
    with JsonlWriter(path) as writer:
        for value in values:
            writer.write({"x": value})
    assert all(same(row["x"], value) for row, value in zip(read_rows(path, Measure), values, strict=True))


def test_without_a_schema_values_are_those_of_the_json(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"x": math.nan})
    assert (tmp_path / "a.jsonl").read_text() == '{"x": "nan"}\n'
    assert read_rows(tmp_path / "a.jsonl") == [{"x": "nan"}]
    assert math.isnan(read_rows(tmp_path / "a.jsonl", Measure)[0]["x"])


def test_a_row_is_in_the_file_when_write_returns(tmp_path):
    writer = JsonlWriter(tmp_path / "a.jsonl")
    writer.write({"step": 1})
    assert (tmp_path / "a.jsonl").read_text() == '{"step": 1}\n'
    writer.flush(sync=True)
    writer.close()
    writer.close()


def test_a_half_last_line_is_left_out_and_reported(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "lo')
    reader = JsonlReader(path)
    assert [row["step"] for row in reader] == [1, 2]
    assert reader.half_line is not None
    assert (reader.half_line.number, reader.half_line.size) == (3, 15)
    assert last_row(path) == {"step": 2}


def test_a_last_line_without_its_end_does_not_count_even_when_it_parses(tmp_path):
    # the writer will cut it off, so the readers must agree
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    assert read_rows(path) == [{"step": 1}]
    with JsonlWriter(path) as writer:
        assert writer.dropped == len('{"step": 2}')
        writer.write({"step": 2})
    assert read_rows(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("bad", ['{"step": 2', "[2]", "NaN", '{"step": NaN}', "", "\udcff", "[" * 100_000])
def test_a_malformed_line_elsewhere_is_named(tmp_path, bad):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"step": 1}\n' + bad.encode("utf-8", "surrogateescape") + b'\n{"step": 3}\n')
    with pytest.raises(RunError, match=r"a\.jsonl is damaged at line 2"):
        read_rows(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"none\.jsonl"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(RunError, match=r"none\.jsonl"):
        last_row(tmp_path / "none.jsonl")


def test_last_row_of_a_long_file(tmp_path):
    path = tmp_path / "a.jsonl"
    with JsonlWriter(path) as writer:
        for step in range(3):
            writer.write({"step": step, "text": "x" * 200_000})  # longer than the block that is searched
    assert last_row(path)["step"] == 2


def test_truncate_goes_back_to_an_offset(tmp_path):
    path = tmp_path / "a.jsonl"
    with JsonlWriter(path) as writer:
        writer.write({"step": 1})
        offset = writer.offset()
        writer.write({"step": 2})
    assert truncate(path, offset) == len('{"step": 2}\n')
    assert read_rows(path) == [{"step": 1}]
    assert truncate(path, offset) == 0
    assert truncate(path, 0) == offset
    assert path.read_bytes() == b""


def test_sync_and_truncate_wait_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"step": 1})
        writer.flush()
        assert synced == []
        writer.flush(sync=True)
    truncate(tmp_path / "a.jsonl", 0)
    assert synced == [len('{"step": 1}\n'), 0]


@pytest.mark.parametrize("offset", [5, 1000, -1])
def test_truncate_refuses_an_offset_that_is_not_this_files(tmp_path, offset):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(RunError, match="does not fit its checkpoint"):
        truncate(path, offset)
    assert path.read_text() == '{"step": 1}\n'


def test_truncate_of_a_missing_file(tmp_path):
    with pytest.raises(RunError, match="missing"):
        truncate(tmp_path / "a.jsonl", 0)


def test_a_row_that_json_cannot_hold_writes_nothing(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        with pytest.raises(TypeError):
            writer.write({"a": 1, "b": object()})
        writer.write({"a": 1})
    assert read_rows(tmp_path / "a.jsonl") == [{"a": 1}]


def test_a_folder_that_does_not_exist_is_a_work_error(tmp_path):
    with pytest.raises(WorkError, match=r"Could not write .*none"):
        JsonlWriter(tmp_path / "none" / "a.jsonl")


def test_a_full_disk_stops_with_a_message_and_whole_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    program = textwrap.dedent(
        """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        from trimtab.errors import WorkError
        from trimtab.records import JsonlWriter
        writer = JsonlWriter(sys.argv[1])
        try:
            for step in range(1000):
                writer.write({"step": step, "text": "x" * 70})
        except WorkError as error:
            writer.flush(sync=True)
            print(writer.offset())
            sys.exit(str(error))
        """
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(path) in done.stderr and "size limit" in done.stderr and "trimtab resume" in done.stderr
    assert path.stat().st_size == int(done.stdout)
    rows = read_rows(path)
    assert [row["step"] for row in rows] == list(range(len(rows))) and len(rows) > 5
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_no_space_left_says_so(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, writer._descriptor)
        os.close(full)
        with pytest.raises(WorkError, match="the disk is full"):
            writer.write({"step": 1})


def test_the_seal_is_that_of_the_whole_lines_also_after_opening_anew(tmp_path):
    path = tmp_path / "a.jsonl"
    with JsonlWriter(path) as writer:
        writer.write({"step": 1})
        assert writer.seal() == seal_of(path)
    with path.open("ab") as file:
        file.write(b'{"step": ')
    with JsonlWriter(path) as writer:
        writer.write({"step": 2})
        assert writer.seal() == seal_of(path) != seal_of(path, 5)
    assert seal_of(path, 5).bytes == 5


@pytest.mark.parametrize("make", ["link", "fifo", "folder", "device"])
def test_rows_are_written_to_a_regular_file_only(tmp_path, make):
    path, mine = tmp_path / "a.jsonl", tmp_path / "mine"
    mine.write_text("precious")
    if make == "link":
        path.symlink_to(mine)
    elif make == "fifo":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    else:
        path = Path("/dev/null")
    for attempt in (lambda: JsonlWriter(path), lambda: truncate(path, 0)):
        with pytest.raises(RunError, match="Nothing was written to"):
            attempt()
    assert mine.read_text() == "precious"


@pytest.mark.parametrize("make", ["fifo", "folder", "device", "giant", "giant line"])
def test_anything_but_a_file_of_rows_is_refused_at_once(tmp_path, make, monkeypatch):
    path = tmp_path / "a.jsonl"
    if make == "fifo":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    elif make == "device":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.setattr("trimtab.records.jsonl.RECORD_LIMIT", 1000)
        with path.open("wb") as file:
            file.truncate(1 << 40 if make == "giant" else 1 << 20)
            if make == "giant line":
                file.seek(0, os.SEEK_END)
                file.write(b"\n")
    for read in (read_rows, last_row):
        with pytest.raises(RunError, match=re.escape(str(path))):
            read(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[" * 50_000 + b"]" * 50_000, "nested too deeply"),
        (b'{"a": ' * 150 + b"1" + b"}" * 150, "nested deeper than 100 levels"),
        (b'{"step": ' + b"9" * 5000 + b"}", "a number in it is too large"),
        (b'{"step": ' + b"9" * 61 + b"}", "an integer of more than 60 digits"),
        (b'{"step": 1, "step": 2}', "the key 'step' twice"),
        (b'{"a": "\x1b[2J\xff"}', "is not UTF-8"),
    ],
)
def test_json_that_no_record_holds_is_damage(tmp_path, line, reason):
    (tmp_path / "a.jsonl").write_bytes(line + b"\n")
    with pytest.raises(RunError, match=reason) as error:
        read_rows(tmp_path / "a.jsonl")
    assert "\x1b" not in str(error.value)


def test_a_kill_leaves_whole_lines_and_at_most_one_half(tmp_path):
    path = tmp_path / "a.jsonl"
    program = textwrap.dedent(
        """
        import itertools, sys
        from trimtab.records import JsonlWriter
        writer = JsonlWriter(sys.argv[1])
        for step in itertools.count():
            writer.write({"step": step, "text": "x" * 5000})
            if step == 50:
                print("written", flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    steps = [row["step"] for row in read_rows(path)]
    assert steps == list(range(len(steps))) and len(steps) > 50
    with JsonlWriter(path) as writer:
        writer.write({"step": len(steps)})
    assert json.loads(path.read_bytes().splitlines()[-1]) == {"step": len(steps)}

"""What standard output and error cannot take never ends a run, and always ends a command that only prints."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.small_runs import DECODER, ROOT, environment, options
from trimtab.cli import output
from trimtab.cli.output import OutputLostError, Stream, deliver, finish, say, working
from trimtab.cli.table import say_table

TRAIN = " ".join(f"'{part}'" for part in ("train", *options([*DECODER, "episode.steps=4", "episode.evaluate_every=2"])))


@contextmanager
def full() -> Iterator[None]:
    """A standard output that cannot be written."""
    with open("/dev/full", "w", encoding="utf-8") as file, pytest.MonkeyPatch.context() as patched:
        stream = Stream(file, file.fileno(), needed=True)
        patched.setattr(sys, "stdout", stream)
        patched.setattr(output, "_OUT", [stream])
        yield


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of sh in which `$T` is the command line."""
    env = {**environment(), "T": f"{sys.executable} -m trimtab.cli.main", **variables}
    return subprocess.run(["sh", "-c", line], capture_output=True, env=env, cwd=ROOT, timeout=300, check=False)


def test_each_argument_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\tc\r", 5, "", Path("x\ny"))
    assert capsys.readouterr().out == "a\\x0ab\\x09c\\x0d\n5\n\nx\\x0ay\n"


def test_work_goes_on_and_says_once_that_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with full():
        with working():
            for number in range(3):
                say(number)
        finish()
        with pytest.raises(OutputLostError, match="No space left on device"):
            deliver("{}")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "Standard output cannot be written (No space left on device): the work continues without it."


def test_what_only_prints_fails() -> None:
    with full():
        with pytest.raises(OutputLostError, match="standard output cannot be written: No space left on device."):
            say("text")
        say("a library that passes over the first error writes more")
        with pytest.raises(OutputLostError):
            finish()


def test_a_closed_stream_and_standard_error_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OutputLostError, match="it is closed"):
        Stream(None, 1000, needed=True).write("text")
    with open("/dev/full", "w", encoding="utf-8") as file:
        errors = Stream(file, file.fileno(), needed=False)
        assert errors.write("text") == 4
        errors.flush()
        assert errors.lost is not None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_characters_that_the_encoding_lacks_are_written_as_escapes(tmp_path: Path, encoding: str) -> None:
    with open(tmp_path / "out", "w", encoding=encoding) as file:
        stream = Stream(file, file.fileno(), needed=True)
        stream.write("é − ☃\n")
        stream.flush()
    known = {"latin-1": "é \\u2212 \\u2603", "ascii": "\\xe9 \\u2212 \\u2603", "cp1252": "é \\u2212 \\u2603"}
    assert (tmp_path / "out").read_text(encoding=encoding) == known.get(encoding, "é − ☃") + "\n"


def test_a_table_keeps_names_whole_and_takes_nothing_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    long = "sweep[lr=0.1]" + "x" * 300
    say_table(("steps", "name", "more"), [(5, long, "a"), (1000, "a[/b]\x1b[31m日:cat:", "b")], right={"steps"})
    head, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["5", long, "a"] and second.split() == ["1000", "a[/b]\\x1b[31m日:cat:", "b"]
    assert head.index(" more") == second.index(" b") + 1  # one character is two columns wide
    assert first.index(long) == head.index("name")


def test_a_cell_that_is_too_long_is_shortened_and_widens_no_other_row(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("name", "more"), [("x" * 5000, "a"), ("short", "b"), ("y" * 100, "c")])
    head, first, second, third = capsys.readouterr().out.splitlines()
    assert len(first) == 403 and "characters more) … " in first and first.endswith("x  a")
    assert third == "y" * 100 + "  c" and len(head) == 106 and len(second) == len(third)


def test_a_command_that_only_prints_ends_with_one_line(tmp_path: Path) -> None:
    for redirection, reason in ((">&-", "it is closed"), ("> /dev/full", "No space left on device")):
        result = shell(f"$T components schedule {redirection}")
        line = f"trimtab: standard output cannot be written: {reason}.\n"
        assert (result.returncode, result.stderr.decode()) == (1, line)
    assert shell("($T components schedule; echo rc $? >&2) | true").stderr == b"rc 1\n"
    help_text = shell("($T --help; echo rc $? >&2) > /dev/full")
    assert help_text.stderr == b"trimtab: standard output cannot be written: No space left on device.\nrc 1\n"


def test_an_error_with_markup_and_control_characters_is_shown_as_text() -> None:
    missing = shell("$T list 'no[/red]such\x1b[31mfolder'")
    assert missing.returncode == 2 and b"no[/red]such\\x1b[31mfolder" in missing.stderr


def test_a_run_whose_reader_leaves_goes_on_and_says_so(tmp_path: Path) -> None:
    result = shell(f"($T {TRAIN} --out {tmp_path}/run; echo rc $? >&2) | true")
    assert result.stderr == b"Standard output cannot be written (Broken pipe): the work continues without it.\nrc 0\n"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "completed"


@pytest.mark.slow
def test_a_run_goes_on_whatever_its_streams_are(tmp_path: Path) -> None:
    lines = {"closed": ">&-", "both": ">&- 2>&-", "full": "> /dev/full", "full_json": "--json > /dev/full"}
    for name, rest in lines.items():
        result = shell(f"$T {TRAIN} --out {tmp_path}/{name} {rest}")
        assert result.returncode == (1 if "json" in name else 0), result.stderr
        assert b"Traceback" not in result.stderr and b"Exception ignored" not in result.stderr
        assert json.loads((tmp_path / name / "summary.json").read_text())["status"] == "completed"
    result = shell(
        f"$T {TRAIN} --set 'episode.sample={{prompt: ☃, tokens: 3}}' --out {tmp_path}/latin", PYTHONIOENCODING="latin-1"
    )
    assert result.returncode == 0, result.stderr


def test_nothing_is_said_when_the_interpreter_ends() -> None:
    script = "import sys\nfrom trimtab.cli import output\noutput.guard()\nwith output.working():\n    sys.stdout.write('x' * 70000)\n"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.returncode == 0 and done.stderr.count("\n") == 1

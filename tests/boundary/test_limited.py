"""A function in a limited process: its result or one short reason."""

import sys
from pathlib import Path

import pytest

from tests.boundary import limited_functions as functions
from trimtab.boundary import LimitedError, foreign, run_limited
from trimtab.errors import DataError


def test_the_result_comes_back() -> None:
    assert run_limited(functions.double, "aé") == {"twice": "aéaé"}


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        (functions.fail, (), r"a \\x1b\[2Jbad x+ … \(.*more\) … x+"),
        (functions.missing_key, (), "KeyError: 'heads'"),
        (functions.recurse, (), "it is nested too deeply"),
        (functions.long_text, (40_000,), "its result has more than 100,000 bytes"),
        (functions.leave, (3,), "3"),
        (functions.crash, (), r"the reading process crashed \(SIGABRT\)"),
        (functions.chatter, (), "after much talk"),
    ],
)
def test_what_goes_wrong_is_one_short_line(function, arguments, reason) -> None:
    with pytest.raises(LimitedError, match=f"^{reason}$") as caught:
        run_limited(function, *arguments, output=100_000)
    assert len(str(caught.value)) < 400


def test_computing_without_end_is_stopped() -> None:
    with pytest.raises(LimitedError, match="it takes more than 1 s of processor time"):
        run_limited(functions.forever, seconds=1)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not honour a limit on the address space")
@pytest.mark.parametrize("function", [functions.fill_memory, functions.grow])
def test_memory_is_bounded(function) -> None:
    with pytest.raises(LimitedError, match="it needs more than 256 MB of memory"):
        run_limited(function, memory=256 << 20)


def test_a_file_larger_than_the_result_may_be_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(LimitedError, match="File too large"):
        run_limited(functions.write_file, str(tmp_path / "file"), output=1000)
    assert (tmp_path / "file").stat().st_size <= 1000


def test_modules_in_the_working_folder_are_not_importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for folder in ("", str(tmp_path)):
        monkeypatch.syspath_prepend(folder)
    assert run_limited(functions.imported, "jinja2") == "jinja2"
    assert str(tmp_path) not in run_limited(functions.import_path)


def test_the_reason_is_worded_as_any_foreign_error() -> None:
    with (
        pytest.raises(DataError, match="^the file is damaged: KeyError: 'heads'$"),
        foreign(DataError, lambda reason: f"the file is damaged: {reason}"),
    ):
        run_limited(functions.missing_key)


def test_a_deleted_working_folder_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    assert run_limited(functions.double, 2) == {"twice": 4}


def test_ctrl_c_is_for_the_program_that_waits() -> None:
    assert run_limited(functions.interrupted) == "still here"

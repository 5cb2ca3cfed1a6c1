import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.shared import write_rows
from trimtab.config import ConfigError, DataError
from trimtab.data.tasks.files import BadRowError, json_lines, question_key
from trimtab.data.tasks.files import rows as rows_module
from trimtab.data.tasks.jsonl import JsonLines


def rows(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"What is {number} and {number}?", "answer": str(2 * number)} for number in range(count)]


def bad_rows(path: str) -> list[str]:
    return [str(row.values) for row in json_lines(path, key="data.task.path") if isinstance(row.values, BadRowError)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "a", ', "not valid JSON (Illegal trailing comma before end of object, column 15)"),
        (b"plain text", "not valid JSON (Expecting value, column 1)"),
        (b"[1, 2]", "a list where an object is needed"),
        (b"null", "null where an object is needed"),
        (b'"text"', "text where an object is needed"),
        (b'{"prompt": NaN}', "NaN is not a number"),
        (b'{"prompt": "a", "prompt": "b"}', "an object in it has the key 'prompt' twice, with 'a' and with 'b'"),
        (b'{"prompt": "a", "more": {"b": 1, "b": 1}}', "an object in it has the key 'b' twice"),
        (b'{"prompt": 1e999}', "the number 1e999 in it is too large"),
        (b'{"prompt": -Infinity}', "-Infinity is not a number"),
        (b'{"prompt": ' + b"9" * 5000 + b"}", "a number in it is too large"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"prompt": "caf\xe9"}', "byte 15 of it (0xe9) is not UTF-8"),
        (b"\x00\x01", "not valid JSON"),
    ],
)
def test_a_bad_line_is_reported_with_its_location_and_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    good = {"prompt": "a", "answer": "b"}
    path = write_rows(tmp_path / "rows.jsonl", [good, line, good])
    lines = list(json_lines(path, key="data.task.path"))
    assert [row.where for row in lines] == [f"{path}, line {number}" for number in (1, 2, 3)]
    assert lines[0].values == lines[2].values == good
    assert isinstance(lines[1].values, BadRowError)
    # The messages of Python's own JSON parser differ between its versions.
    if "Illegal" not in reason:
        assert reason in str(lines[1].values)


def test_a_byte_order_mark_blank_lines_and_all_line_ends_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert [(row.where[-6:], row.values) for row in json_lines(str(path), key="k")] == [
        ("line 1", {"a": 1}),
        ("line 4", {"a": 2}),
    ]


def test_a_line_that_is_too_long_is_a_bad_row_and_the_next_line_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "LONGEST_LINE", 64)
    path = write_rows(tmp_path / "rows.jsonl", [{"a": "x" * 1000}, {"a": "y" * 54}, {"a": "z" * 55}, {"a": 1}])
    lines = list(json_lines(path, key="k"))
    assert [isinstance(row.values, BadRowError) for row in lines] == [True, False, True, False]
    assert lines[-1] == (f"{path}, line 4", {"a": 1})


@pytest.mark.parametrize("name", ["nothing.jsonl", "", "\0", "folder", "pipe", "device", "x" * 5000])
def test_a_file_that_does_not_exist_is_reported_with_its_config_key(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((DataError, ConfigError), match=r"data\.task\.path"):
        list(json_lines(str(tmp_path / name) if name else "", key="data.task.path"))


def test_a_bad_row_is_an_error_with_file_line_and_advice(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*rows(3), {"prompt": "a"}])
    with pytest.raises(
        DataError,
        match=r"rows\.jsonl, line 4: it has no 'answer'; it has 'prompt'\. Correct the row, or leave such rows out with",
    ):
        JsonLines(path=path).split("train", None, 0)


def test_skipped_rows_are_listed_with_their_reasons(tmp_path: Path) -> None:
    bad = [{"prompt": "a"}, b"{", {"prompt": " ", "answer": "b"}]
    path = write_rows(tmp_path / "rows.jsonl", [*rows(40), *bad])
    task = JsonLines(path=path, on_bad_row="skip")
    assert len(task.split("train", None, 0)) + len(task.split("validation", None, 0)) == 40
    assert [entry.rpartition("line ")[2][:3] for entry in task.skipped] == ["41:", "42:", "43:"]
    assert "'prompt' is empty" in task.skipped[2]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", " ", "\u00e9", "e\u0301"])), min_size=30, max_size=80),
    st.integers(0, 5),
)
def test_the_splits_of_one_file_have_no_question_in_common(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, str]], seed: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    base = [{"prompt": f"seen {number}", "answer": "1"} for number in range(20)]
    write_rows(path, base + [{"prompt": f"n{number}  {end}".rstrip(), "answer": "1"} for number, end in drawn])
    task = JsonLines(path=str(path))
    train, validation = task.split("train", None, seed), task.split("validation", None, seed)
    trained, validated = ({question_key(problem.prompt) for problem in part} for part in (train, validation))
    assert not trained & validated
    assert len(validated) == len(validation), "validation problems are all different"
    assert len(train) + len(validation) + len(task.skipped) == len(base) + len(drawn)


def test_training_rows_with_a_validation_question_are_left_out_and_listed(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", rows(20))
    validation = write_rows(
        tmp_path / "validation.jsonl", [*rows(23)[17:], {"prompt": "What  is 22 and 22? ", "answer": "44"}]
    )
    task = JsonLines(path=train, validation_path=validation)
    assert [problem.answer for problem in task.split("train", None, 0)] == [str(2 * number) for number in range(17)]
    assert [problem.answer for problem in task.split("validation", None, 0)] == ["34", "36", "38", "40", "42", "44"]
    assert len(task.skipped) == 4
    assert task.skipped[0] == f"{validation}, line 7: its question is already in the validation split"
    assert task.skipped[1] == f"{train}, line 18: its question is also in the validation split"


def test_a_larger_selection_with_the_same_seed_contains_the_smaller_one(tmp_path: Path) -> None:
    task = JsonLines(path=write_rows(tmp_path / "rows.jsonl", rows(100)))
    few, more, other = (task.split("train", count, seed) for count, seed in ((5, 0), (20, 0), (5, 1)))
    assert few == more[:5]
    assert few != other
    assert few == JsonLines(path=str(tmp_path / "rows.jsonl")).split("train", 5, 0)


def test_requesting_more_problems_than_the_file_has_is_an_error(tmp_path: Path) -> None:
    task = JsonLines(path=write_rows(tmp_path / "rows.jsonl", rows(50)))
    available = len(task.split("train", None, 0))
    with pytest.raises(DataError, match=rf"`data\.size` is 51, but the task jsonl has only {available} train problems"):
        task.split("train", 51, 0)
    with pytest.raises(DataError, match=r"`data\.validation` is 50, but"):
        task.split("validation", 50, 0)


@pytest.mark.parametrize("content", [[], rows(1), [{"prompt": "same", "answer": "1"}] * 50])
def test_a_file_whose_rows_do_not_fill_both_splits_is_an_error(tmp_path: Path, content: list[dict[str, str]]) -> None:
    with pytest.raises(DataError, match="it needs both"):
        JsonLines(path=write_rows(tmp_path / "rows.jsonl", content)).split("train", None, 0)


def test_the_identity_depends_on_the_content_and_not_on_the_file_name(tmp_path: Path) -> None:
    here, there = (write_rows(tmp_path / name, rows(30)) for name in ("here.jsonl", "there.jsonl"))
    assert JsonLines(path=here).identity == JsonLines(path=there).identity
    changed = rows(30)
    changed[3]["answer"] = "7"
    other = write_rows(tmp_path / "other.jsonl", changed)
    assert JsonLines(path=here).identity != JsonLines(path=other).identity
    assert JsonLines(path=here).identity != JsonLines(path=here, match="exact").identity
    json.dumps(JsonLines(path=here).identity)

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.shared import write_rows
from tests.memory.pairs.files import source
from trimtab.config import ConfigError, DataError
from trimtab.memory.pairs.pair import LONGEST_ID, safe_id

ROWS = [{"id": f"p{n}", "question": f"How many is {n} and 1?", "answer": str(n + 1)} for n in range(40)]


def test_the_selection_depends_on_the_seed_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    shuffled = list(ROWS)
    random.Random(7).shuffle(shuffled)
    reader = source("jsonl", path=write_rows(tmp_path / "a.jsonl", ROWS))
    moved = source("jsonl", path=write_rows(tmp_path / "b.jsonl", shuffled))
    assert reader.read(10, 3) == moved.read(10, 3)
    assert reader.read(None, 3) == moved.read(40, 3)
    assert reader.read(10, 3).pairs == reader.read(25, 3).pairs[:10]
    assert reader.read(10, 3).pairs != reader.read(10, 4).pairs
    assert {pair.id for pair in reader.read(None, 4).pairs} == {row["id"] for row in ROWS}


def test_an_added_row_hardly_changes_the_selection(tmp_path: Path) -> None:
    all_rows = source("jsonl", path=write_rows(tmp_path / "a.jsonl", ROWS)).read(10, 0)
    fewer = source("jsonl", path=write_rows(tmp_path / "b.jsonl", ROWS[:39])).read(10, 0)
    assert len({pair.id for pair in all_rows.pairs} & {pair.id for pair in fewer.pairs}) >= 9


def test_the_fingerprint_depends_on_the_content_only(tmp_path: Path) -> None:
    def fingerprint(rows: list[Any], count: int | None = None) -> str:
        return source("jsonl", path=write_rows(tmp_path / "rows.jsonl", rows)).read(count, 0).fingerprint

    whole = fingerprint(ROWS)
    assert len(whole) == 64
    assert whole == fingerprint([{**row, "unread": 1} for row in reversed(ROWS)])
    changes = ({"answer": "0"}, {"question": "Why?"}, {"id": "q"}, {"answer": [ROWS[0]["answer"], "one"]})
    others = {fingerprint([{**ROWS[0], **change}, *ROWS[1:]]) for change in changes} | {fingerprint(ROWS, 39)}
    assert len(others | {whole}) == 6


def test_the_id_of_a_row_without_one_comes_from_its_question(tmp_path: Path) -> None:
    rows = [{"question": "Why?", "answer": "So."}, {"question": " Why? ", "answer": "So."}]
    reading = source("jsonl", path=write_rows(tmp_path / "rows.jsonl", rows)).read(None, 0)
    (pair,) = reading.pairs
    assert len(pair.id) == 16
    assert reading.skipped == (
        f"1 left out, the first at {tmp_path}/rows.jsonl, line 2: another pair has the same question",
    )


@pytest.mark.parametrize("rows", [ROWS[:1], list(reversed(ROWS))])
def test_of_duplicate_questions_the_smaller_id_is_kept(tmp_path: Path, rows: list[Any]) -> None:
    duplicate = {"id": "p", "question": "How  many is 0 and\n1?", "answer": "one"}
    for written in ([*rows, duplicate], [duplicate, *rows]):
        reading = source("jsonl", path=write_rows(tmp_path / "rows.jsonl", written)).read(None, 0)
        assert {pair.id for pair in reading.pairs} == {"p", *(row["id"] for row in rows)} - {"p0"}
        assert len(reading.skipped) == 1


BAD: list[tuple[Any, str]] = [
    (b'{"question": "Why?", ', "it is not valid JSON"),
    (b'{"question": "\xff"}', "is not UTF-8"),
    ([1], "it is a list where an object is needed"),
    ({"answer": "So."}, "it has no 'question'; it has 'answer'"),
    ({"question": 7.5e999, "answer": "So."}, "not valid JSON"),
    ({"question": ["Why?"], "answer": "So."}, "'question' is a list where text or a number is needed"),
    ({"question": "Why?"}, "it has no 'answer'"),
    ({"question": "Why?", "answer": None}, "'answer' is null where text or a number is needed"),
    ({"question": "Why?", "answer": ["So.", {}]}, "'answer'[1] is an object where text or a number is needed"),
    ({"question": "Why?", "answer": "\ud800"}, "'answer' is not valid Unicode"),
    ({"question": "Why?", "answer": "So.", "id": None}, "'id' is null where text or a number is needed"),
    ({"question": "Why?", "answer": "So.", "id": ""}, "'id' is empty"),
    ({"question": "Why?", "answer": "So.", "id": "p3"}, "another question has the same id 'p3'"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_a_bad_row_is_an_error_or_is_skipped_and_named(tmp_path: Path, row: Any, reason: str) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*ROWS, row])
    with pytest.raises(DataError) as error:
        source("jsonl", path=path).read(None, 0)
    assert str(error.value).startswith(f"{path}, line 41: ")
    assert reason in str(error.value)
    assert "`pairs.on_bad_row: skip`" in str(error.value)
    reading = source("jsonl", path=path, on_bad_row="skip").read(None, 0)
    (skipped,) = reading.skipped
    assert skipped.startswith(f"{path}, line 41: ")
    assert reason in skipped
    assert reading.pairs == source("jsonl", path=write_rows(tmp_path / "good.jsonl", ROWS)).read(None, 0).pairs


@pytest.mark.parametrize(
    "change", [{"question": ""}, {"question": " \n"}, {"answer": " "}, {"answer": []}, {"answer": ["", " "]}]
)
def test_a_row_with_an_empty_side_is_skipped_and_named(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{**ROWS[0], **change}, *ROWS[1:]])
    reading = source("jsonl", path=path).read(None, 0)
    assert len(reading.pairs) == 39
    (skipped,) = reading.skipped
    assert skipped.startswith(f"{path}, line 1: '{next(iter(change))}' ")
    assert "empty" in skipped or "has no text" in skipped


def test_more_pairs_than_the_source_has_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*ROWS, {"question": "", "answer": "x"}])
    with pytest.raises(
        DataError, match=r"jsonl has 40 pairs, but 41 are needed\. Left out: .*line 41.*Set `count` to at most 40, or"
    ):
        source("jsonl", path=path).read(41, 0)
    with pytest.raises(DataError, match=r"has 0 pairs, but at least one is needed.*pairs\.path"):
        source("jsonl", path=write_rows(tmp_path / "none.jsonl", [])).read(None, 0)


@pytest.mark.parametrize("name", ["squad", "triviaqa", "hotpotqa", "nq_open", "jsonl", "arc"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"nothing\.json' does not exist.*`pairs\.path`"):
        source(name, path=str(tmp_path / "nothing.json")).read(None, 0)


def test_keys_can_be_chosen_and_values_can_be_numbers(tmp_path: Path) -> None:
    rows = [{"q": {"text": " Six by seven? "}, "a": [42, "42", "forty-two"], "n": 5}]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    reader = source("jsonl", path=path, question_key="q.text", answer_key="a", id_key="n", exact=True)
    (pair,) = reader.read(1, 0).pairs
    assert (pair.id, pair.question, pair.answer, pair.answers) == ("5", "Six by seven?", "42", ("42", "forty-two"))
    assert pair.exact


@given(st.text())
def test_every_safe_id_is_a_valid_file_name(text: str) -> None:
    result = safe_id(text)
    assert 0 < len(result) <= LONGEST_ID
    assert all(character.isascii() and (character.isalnum() or character in "._-") for character in result)
    assert result[0] not in ".-"
    assert safe_id(result) == result


def test_similar_ids_stay_distinct() -> None:
    names = ["a/b", "a\\b", "a b", "a_b", "", ".", "..", "a" * 200, "a" * 201, "?", "é"]
    assert len({safe_id(name) for name in names}) == len(names)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises((ConfigError, ValueError)):
        source("jsonl", path="rows.jsonl", questions="q")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "paragraphs", "qas", "question", "id", "answers", "text"]), inner
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused_with_a_message(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    from tests.memory.pairs.files import write_json

    path = write_json(tmp_path_factory.mktemp("any") / "file.json", content)
    for name in ("squad", "triviaqa", "hotpotqa", "arc", "jsonl"):
        for on_bad_row in ("error", "skip"):
            try:
                source(name, path=path, on_bad_row=on_bad_row).read(None, 0)
            except DataError as error:
                assert "file.json" in str(error) or "has 0 pairs" in str(error)

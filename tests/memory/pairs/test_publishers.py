"""SQuAD, TriviaQA, HotpotQA and Natural Questions in their own formats."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.tasks.shared import shared_file
from tests.memory.pairs.files import source, squad, squad_question, write_json
from trimtab.config import DataError

# Written by hand in the format of the official files.
TRIVIA: dict[str, Any] = {
    "Data": [
        {
            "Answer": {
                "Aliases": ["The Thames", "River Thames", "Thames River", ""],
                "MatchedWikiEntityName": "River Thames",
                "NormalizedAliases": ["river thames", "thames river", "thames"],
                "NormalizedMatchedWikiEntityName": "river thames",
                "NormalizedValue": "river thames",
                "Type": "WikipediaEntity",
                "Value": "River Thames",
            },
            "EntityPages": [{"DocSource": "TagMe", "Filename": "London.txt", "Title": "London"}],
            "Question": "Which river flows through London?",
            "QuestionId": "tc_1--River_Thames.txt",
            "QuestionSource": "http://example.org/",
            "SearchResults": [],
        },
        {
            "Answer": {"NormalizedValue": "7", "Type": "Numerical", "Value": "7"},
            "Question": "How many days has a week?",
            "QuestionId": "qw_6687",
        },
    ],
    "Domain": "Wikipedia",
    "VerifiedEval": False,
    "Version": 1.0,
}
HOTPOT: list[dict[str, Any]] = [
    {
        "_id": "5a8b57f25542995d1e6f1371",
        "answer": "yes",
        "question": "Do the Rhine and the Danube both rise in Europe?",
        "supporting_facts": [["Rhine", 0], ["Danube", 0]],
        "context": [["Rhine", ["The Rhine rises in Switzerland."]], ["Danube", ["The Danube rises in Germany."]]],
        "type": "comparison",
        "level": "hard",
    },
    {
        "_id": "5a7a06935542990198eaf050",
        "answer": "Vienna",
        "question": "Which capital on the Danube had Mozart's last house?",
    },
]


def test_squad_pairs_have_all_distinct_answers_and_skipped_rows_are_named(tmp_path: Path) -> None:
    content = squad(
        squad_question("q1", " Where is tea grown? ", "Assam", " Assam", "in Assam", "", is_impossible=False),
        squad_question(
            "q2", "Who first sold ice?", is_impossible=True, plausible_answers=[{"text": "Tudor", "answer_start": 3}]
        ),
        squad_question("q3", "What is\ntea?", "a leaf"),  # no `is_impossible`: version 1.1
        squad_question("q4", "What is tea?", "a drink"),
        squad_question("q5", "Empty?", ""),
        squad_question("q6", "Nothing?"),
        squad_question("q7", "  ", "x"),
    )
    path = write_json(tmp_path / "squad.json", content)
    reading = source("squad", path=path).read(None, 0)
    by_id = {pair.id: pair for pair in reading.pairs}
    assert set(by_id) == {"q1", "q3"}
    assert (by_id["q1"].question, by_id["q1"].answer) == ("Where is tea grown?", "Assam")
    assert by_id["q1"].answers == ("Assam", "in Assam")
    assert by_id["q1"].metadata == {"title": "Tea", "unanswerable": False}
    place = f"{path}: data[0].paragraphs[0].qas"
    assert reading.skipped == (
        f"{place}[4]: it has no answer that is not empty",
        f"{place}[5]: it has no answer",
        f"{place}[6]: the question is empty",
        f"1 left out, the first at {place}[1]: marked as unanswerable; set `pairs.unanswerable` to target to use such questions",
        f"1 left out, the first at {place}[3]: another pair has the same question",
    )


def test_unanswerable_questions_of_squad_can_get_an_answer(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "squad.json",
        squad(squad_question("q1", "Who?", is_impossible=True), squad_question("q2", "What?", "tea")),
    )
    reader = source("squad", path=path, unanswerable="target", no_answer="nobody knows")
    by_id = {pair.id: pair for pair in reader.read(None, 0).pairs}
    assert (by_id["q1"].answers, by_id["q1"].metadata["unanswerable"]) == (("nobody knows",), True)
    assert by_id["q2"].answer == "tea"
    with pytest.raises(ValueError, match="no_answer"):
        source("squad", path=path, no_answer=" ")


GOOD = squad_question("q1", "Who?", "I")


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (squad(GOOD, {"id": "q2", "answers": []}), "data[0].paragraphs[0].qas[1]", "it has no 'question'"),
        (
            squad(GOOD, {**GOOD, "question": 3}),
            "data[0].paragraphs[0].qas[1]",
            "the question is a number where text is needed",
        ),
        (squad(GOOD, "Why?"), "data[0].paragraphs[0].qas[1]", "it is text where an object is needed"),  # type: ignore[arg-type]
        (squad(GOOD, {**GOOD, "answers": {"text": ["I"]}}), "data[0].paragraphs[0].qas[1]", "'answers' is an object"),
        (squad(GOOD, {**GOOD, "answers": ["I"]}), "data[0].paragraphs[0].qas[1]", "answers[0] is text where an object"),
        (squad(GOOD, {**GOOD, "is_impossible": "no"}), "data[0].paragraphs[0].qas[1]", "'is_impossible' is text"),
        ({"data": [*squad(GOOD)["data"], {"title": "x"}]}, "data[1]", "it has no 'paragraphs'; it has 'title'"),
        (
            {"data": [*squad(GOOD)["data"], {"paragraphs": 7}]},
            "data[1].paragraphs",
            "it is a number where a list is needed",
        ),
        ({"data": [*squad(GOOD)["data"], {"paragraphs": [{"qas": None}]}]}, "data[1].paragraphs[0].qas", "it is null"),
        ({"data": [*squad(GOOD)["data"], 5]}, "data[1]", "it is a number where an object is needed"),
    ],
)
def test_an_invalid_row_of_squad_is_named(tmp_path: Path, content: Any, place: str, reason: str) -> None:
    path = write_json(tmp_path / "squad.json", content)
    with pytest.raises(DataError) as error:
        source("squad", path=path).read(None, 0)
    assert str(error.value).startswith(f"{path}: {place}: {reason}")
    reading = source("squad", path=path, on_bad_row="skip").read(None, 0)
    assert [pair.id for pair in reading.pairs] == ["q1"]
    assert reading.skipped[0].startswith(f"{path}: {place}: {reason}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"data": [\n{"title": }]}', "not valid JSON (Expecting value, line 2, column 11)"),
        (b'{"data": [\n"\xff"]}', "byte 12 of it (0xff, in line 2) is not UTF-8"),
        (b'{"data": [NaN]}', "NaN is not a number"),
        (
            b'{"data": [{"title": "a", "title": "b"}]}',
            "an object in it has the key 'title' twice, with 'a' and with 'b'",
        ),
        (b'{"data": [], "data": []}', "has the key 'data' twice"),
        (b'{"data": ' + b"[" * 100_000, "nested too deeply"),
        (b"1" * 5_000, "a number in it is too large"),
        (b"", "not valid JSON"),
        (b'{"question": "q"}\n{"question": "r"}', "Extra data, line 2"),
        (b'{"Data": []}', "it has no 'data'; it has 'Data'"),
        (b"[]", "it is a list where an object with 'data' is needed"),
        (b'{"data": {}}', "'data' is an object where a list is needed"),
    ],
)
def test_a_file_that_is_not_squad_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "squad.json"
    path.write_bytes(content)
    for on_bad_row in ("error", "skip"):
        with pytest.raises(DataError) as error:
            source("squad", path=str(path), on_bad_row=on_bad_row).read(None, 0)
        assert str(error.value).startswith(f"{path}: ")
        assert reason in str(error.value)
        assert "train-v2.0.json" in str(error.value)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(squad(GOOD)).encode())
    assert len(source("squad", path=str(path)).read(None, 0).pairs) == 1


def test_triviaqa_pairs_accept_all_aliases(tmp_path: Path) -> None:
    reading = source("triviaqa", path=write_json(tmp_path / "trivia.json", TRIVIA)).read(None, 0)
    assert reading.skipped == ()
    by_id = {pair.id: pair for pair in reading.pairs}
    river = by_id["tc_1--River_Thames.txt"]
    assert (river.question, river.answer) == ("Which river flows through London?", "River Thames")
    names = ("River Thames", "The Thames", "Thames River", "river thames", "thames river", "thames")
    assert (river.answers, river.metadata) == (names, {"type": "WikipediaEntity"})
    assert by_id["qw_6687"].answers == ("7",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Answer": "seven"}, "'Answer' is text where an object with 'Value' is needed"),
        ({"Answer": {"Aliases": []}}, "it has no 'Value'"),
        ({"Answer": {"Value": "7", "Aliases": "seven"}}, "Answer.Aliases is text where a list is needed"),
        (
            {"Answer": {"Value": "7", "NormalizedAliases": [7]}},
            "Answer.NormalizedAliases[0] is a number where text is needed",
        ),
        ({"QuestionId": None}, "'QuestionId' is null"),
    ],
)
def test_an_invalid_row_of_triviaqa_is_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    first, second = TRIVIA["Data"]
    path = write_json(tmp_path / "trivia.json", {**TRIVIA, "Data": [first, {**second, **change}]})
    with pytest.raises(DataError) as error:
        source("triviaqa", path=path).read(None, 0)
    assert str(error.value).startswith(f"{path}: Data[1]: {reason}")
    assert len(source("triviaqa", path=path, on_bad_row="skip").read(None, 0).pairs) == 1


def test_hotpotqa_pairs_keep_type_and_level(tmp_path: Path) -> None:
    reading = source("hotpotqa", path=write_json(tmp_path / "hotpot.json", HOTPOT)).read(None, 0)
    by_id = {pair.id: pair for pair in reading.pairs}
    rivers = by_id["5a8b57f25542995d1e6f1371"]
    assert (rivers.answer, rivers.answers) == ("yes", ("yes",))
    assert rivers.metadata == {"type": "comparison", "level": "hard"}
    assert by_id["5a7a06935542990198eaf050"].metadata == {}


def test_hotpotqa_without_answers_is_refused(tmp_path: Path) -> None:
    path = write_json(tmp_path / "hotpot.json", [HOTPOT[0], {"_id": "x", "question": "Who?"}])
    with pytest.raises(DataError, match=r"hotpot\.json: \[1\]: it has no 'answer'; it has '_id', 'question'"):
        source("hotpotqa", path=path).read(None, 0)
    with pytest.raises(DataError, match=r"it is an object where a list is needed\. Name one of HotpotQA's"):
        source("hotpotqa", path=write_json(tmp_path / "other.json", TRIVIA)).read(None, 0)


def test_real_questions_of_squad_are_read_completely() -> None:
    path = shared_file("squad_v2_sample.json")
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    written = [qa for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    answered = {qa["id"]: qa for qa in written if not qa["is_impossible"]}
    reading = source("squad", path=str(path)).read(None, 0)
    assert {pair.question for pair in reading.pairs} == {qa["question"].strip() for qa in answered.values()}
    for pair in reading.pairs:
        assert set(pair.answers) == {answer["text"].strip() for answer in answered[pair.id]["answers"]}
        assert pair.metadata["title"] in {article["title"] for article in articles}
    assert any(sentence.startswith(f"{len(written) - len(answered):,} left out") for sentence in reading.skipped)
    everything = source("squad", path=str(path), unanswerable="target").read(None, 0).pairs
    assert len(everything) == len({" ".join(qa["question"].split()) for qa in written})
    assert source("squad", path=str(path)).read(100, 0).pairs == reading.pairs[:100]


def test_real_open_questions_are_read_completely() -> None:
    path = shared_file("nq_open_sample.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    reading = source("nq_open", path=str(path)).read(None, 0)
    answers = {row["question"].strip(): row["answer"] for row in rows}
    assert len(reading.pairs) == len(answers)
    for pair in reading.pairs:
        assert pair.answers == tuple(dict.fromkeys(text.strip() for text in answers[pair.question]))

from pathlib import Path
from typing import Any

import pytest

from tests.data.tasks.shared import write_rows
from tests.memory.pairs.files import source
from trimtab.config import DataError
from trimtab.memory.pairs import Paraphrases, read_paraphrases

GOOD = {"pair": "p1", "questions": ["Why so?", " How come? "], "answers": ["Thus."], "weight": 0.5}


def test_a_line_has_questions_answers_and_a_weight(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "rows.jsonl", [GOOD, {"pair": 7, "answers": ["x"]}, {"pair": "a/b", "questions": ["y"]}]
    )
    by_pair = read_paraphrases(path)
    assert by_pair["p1"] == Paraphrases(("Why so?", "How come?"), ("Thus.",), 0.5)
    assert by_pair["7"] == Paraphrases((), ("x",), 1.0)
    assert len(by_pair) == 3  # ids are made safe like those of pairs


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"{", "it is not valid JSON"),
        ({"questions": ["x"]}, "it has no 'pair'"),
        ({"pair": "p2"}, "it has neither questions nor answers"),
        ({"pair": "p2", "questions": [], "answers": []}, "it has neither questions nor answers"),
        ({"pair": "p2", "questions": "x"}, "'questions' is text where a list is needed"),
        ({"pair": "p2", "questions": ["x", 7]}, "questions[1] is a number where text is needed"),
        ({"pair": "p2", "answers": [" "]}, "answers[0] is empty"),
        ({"pair": "p2", "answers": ["x", "x "]}, "'answers' has the same text twice"),
        ({"pair": "p2", "question": ["x"]}, "there is no key 'question' here. Did you mean 'questions'?"),
        ({**GOOD, "pair": "p2", "weight": 0}, "'weight' is 0, but it must be above 0"),
        ({**GOOD, "pair": "p2", "weight": -1}, "'weight' is -1"),
        ({**GOOD, "pair": "p2", "weight": "much"}, "'weight' is text where a number is needed"),
        (GOOD, "the pair 'p1' has paraphrases already, at "),
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, row: Any, reason: str) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [GOOD, row])
    with pytest.raises(DataError) as error:
        read_paraphrases(path)
    assert str(error.value).startswith(f"{path}, line 2: {reason}")
    assert "A line of paraphrases is" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist.*`paraphrases\.path`"):
        read_paraphrases(str(tmp_path / "none.jsonl"))


def test_every_shipped_pair_has_distinct_paraphrases(configs: Path) -> None:
    reading = source("jsonl", path=str(configs / "pairs_small.jsonl")).read(None, 0)
    assert (len(reading.pairs), reading.skipped) == (24, ())
    paraphrases = read_paraphrases(str(configs / "pairs_small_paraphrases.jsonl"))
    assert set(paraphrases) == {pair.id for pair in reading.pairs}
    questions = [text for pair in reading.pairs for text in (pair.question, *paraphrases[pair.id].questions)]
    assert len(set(questions)) == 24 * 3
    for pair in reading.pairs:
        assert len(paraphrases[pair.id].answers) <= 1
        assert pair.answer not in paraphrases[pair.id].answers

from pathlib import Path
from typing import Any

import pytest

from tests.data.tasks.shared import write_rows
from tests.memory.pairs.files import source
from trimtab.config import DataError
from trimtab.memory.pairs import Paraphrases, read_paraphrases

GOOD = {"pair": "p1", "questions": ["Why so?", " How come? "], "answers": ["Thus."], "weight": 0.5}


def test_what_a_line_says(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "rows.jsonl", [GOOD, {"pair": 7, "answers": ["x"]}, {"pair": "a/b", "questions": ["y"]}]
    )
    found = read_paraphrases(path)
    assert found["p1"] == Paraphrases(("Why so?", "How come?"), ("Thus.",), 0.5)
    assert found["7"] == Paraphrases((), ("x",), 1.0)
    assert len(found) == 3  # an id is made safe as those of pairs are


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
        ({"pair": "p2", "answers": ["x", "x "]}, "'answers' has a wording twice"),
        ({"pair": "p2", "question": ["x"]}, "there is no key 'question' here. Did you mean 'questions'?"),
        ({**GOOD, "pair": "p2", "weight": 0}, "'weight' is 0, and must be above 0"),
        ({**GOOD, "pair": "p2", "weight": -1}, "'weight' is -1"),
        ({**GOOD, "pair": "p2", "weight": "much"}, "'weight' is text where a number is needed"),
        (GOOD, "the pair 'p1' has paraphrases already, at "),
    ],
)
def test_what_is_wrong_with_a_line(tmp_path: Path, row: Any, reason: str) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [GOOD, row])
    with pytest.raises(DataError) as error:
        read_paraphrases(path)
    assert str(error.value).startswith(f"{path}, line 2: {reason}")
    assert "A line of paraphrases is" in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist.*`paraphrases\.path`"):
        read_paraphrases(str(tmp_path / "none.jsonl"))


def test_the_shipped_pairs_and_their_paraphrases(configs: Path) -> None:
    reading = source("jsonl", path=str(configs / "pairs_small.jsonl")).read(None, 0)
    assert (len(reading.pairs), reading.skipped) == (24, ())
    paraphrases = read_paraphrases(str(configs / "pairs_small_paraphrases.jsonl"))
    assert set(paraphrases) == {pair.id for pair in reading.pairs}
    questions = [text for pair in reading.pairs for text in (pair.question, *paraphrases[pair.id].questions)]
    assert len(set(questions)) == 24 * 3
    for pair in reading.pairs:
        assert len(paraphrases[pair.id].answers) <= 1
        assert pair.answer not in paraphrases[pair.id].answers

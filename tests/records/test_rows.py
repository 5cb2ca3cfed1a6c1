"""Numbers and texts are told apart by the schema of a record, not by the words that they spell."""

import json
import math
from pathlib import Path

import pytest

from tests.records.runs import manifest, summary
from trimtab.errors import RunError
from trimtab.records import JsonlWriter, Manifest, RunDirectory
from trimtab.records.jsonl import read_rows
from trimtab.records.memory_rows import CandidateRow
from trimtab.records.rows import EvaluationRow, EventRow, PredictionRow, Row, StepRow

WORDS = ("nan", "inf", "-inf")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (StepRow, {"step": 1, "regime": "WORD", "faults": ["WORD"], "observers": {"mine": {"note": "WORD"}}}),
        (EvaluationRow, {"step": 1, "sample": {"prompt": "WORD", "text": "WORD"}}),
        (PredictionRow, {"item": 1, "correct": True, "confidence": 0.5, "response": "WORD", "answer": "WORD", "options": ["WORD"], "prompt": "WORD"}),
        (EventRow, {"kind": "decision", "reason": "WORD", "after": {"data": "WORD"}}),
        (CandidateRow, {"pair": "WORD", "restart": 0, "status": "solved", "steps": 1, "seconds": 1.5, "loss": {}, "shape": "WORD"}),
    ],
)  # fmt: skip
def test_a_text_that_spells_a_number_stays_a_text(
    kind: type[Row], row: dict[str, object], word: str, tmp_path: Path
) -> None:
    asked = json.loads(json.dumps(row).replace("WORD", word))
    with JsonlWriter(tmp_path / "rows.jsonl") as writer:
        writer.write(asked)
    assert read_rows(tmp_path / "rows.jsonl", kind) == [asked]


@pytest.mark.parametrize(
    ("kind", "row", "path"),
    [
        (StepRow, {"step": 1, "grad_norm": math.nan}, ["grad_norm"]),
        (StepRow, {"step": 1, "aux": {"entropy": math.nan}}, ["aux", "entropy"]),
        (StepRow, {"step": 1, "instruments": {"sharpness": {"top": [1.5, math.nan]}}}, ["instruments", "sharpness", "top", 1]),
        (EvaluationRow, {"step": 1, "val_of_a_user": math.nan}, ["val_of_a_user"]),
        (EvaluationRow, {"step": 1, "sample": {"prompt": "", "text": "", "figures": {"x": math.nan}}}, ["sample", "figures", "x"]),
        (
            EvaluationRow,
            {"step": 1, "task_eval": {"problems": 1, "exact_match": 0, "answer_loss": 2, "calibration": {"ece": math.nan}}},
            ["task_eval", "calibration", "ece"],
        ),
        (PredictionRow, {"item": 0, "correct": True, "confidence": 0.5, "option_probabilities": [0.5, math.nan]}, ["option_probabilities", 1]),
        (EventRow, {"kind": "skip", "reason": "", "before": {"train_loss": math.nan}}, ["before", "train_loss"]),
    ],
)  # fmt: skip
def test_a_figure_that_is_not_a_number_comes_back_as_one(
    kind: type[Row], row: dict[str, object], path: list[str | int], tmp_path: Path
) -> None:
    with JsonlWriter(tmp_path / "rows.jsonl") as writer:
        writer.write(row)
    (result,) = read_rows(tmp_path / "rows.jsonl", kind)
    assert list(result) == list(row)
    for key in path:
        result = result[key]
    assert isinstance(result, float) and math.isnan(result)


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    row = {"step": 1, "tokens": 3, "aux": {"count": 2}, "own": [1, 2]}
    with JsonlWriter(tmp_path / "rows.jsonl") as writer:
        writer.write(row)
    (result,) = read_rows(tmp_path / "rows.jsonl", StepRow)
    assert result == row and type(result["tokens"]) is int and type(result["aux"]["count"]) is int


@pytest.mark.parametrize("value", ["1.5", "none", True, [1.0]])
def test_a_value_that_is_not_a_number_is_refused_under_a_numeric_key(value: object, tmp_path: Path) -> None:
    with JsonlWriter(tmp_path / "rows.jsonl") as writer:
        writer.write({"step": 1})
        writer.write({"step": 2, "grad_norm": value})
    with pytest.raises(RunError, match=r"rows\.jsonl is damaged at line 2: grad_norm holds .* where a number belongs"):
        read_rows(tmp_path / "rows.jsonl", StepRow)


def test_a_config_may_say_nan_and_a_summary_may_have_one(tmp_path: Path) -> None:
    manifest(config={"data": {"path": "inf"}, "names": ["nan"]}).write(tmp_path / "manifest.json")
    assert Manifest.read(tmp_path / "manifest.json").config == {"data": {"path": "inf"}, "names": ["nan"]}
    summary(metrics={"val_loss": math.nan}).write(tmp_path / "summary.json")
    result = RunDirectory(tmp_path).summary()
    assert result is not None and math.isnan(result.metrics["val_loss"])

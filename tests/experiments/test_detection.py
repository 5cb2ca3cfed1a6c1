import math
from typing import Any

import pytest

from trimtab.experiments.detection import excess_areas, score


def rows(losses: list[float], struck: set[int]) -> list[dict[str, Any]]:
    return [
        {"attempt": 0, "step": step, "train_loss": loss, **({"faults": ["x"]} if step in struck else {})}
        for step, loss in enumerate(losses, 1)
    ]


def decisions(*steps: int) -> list[dict[str, Any]]:
    return [{"attempt": 0, "step": step, "kind": "decision_skip"} for step in steps] + [
        {"attempt": 0, "step": 3, "kind": "checkpoint"}
    ]


def test_recall_false_alarms_and_delay_by_hand() -> None:
    result = score(rows([2.0] * 100, {20, 21, 60}), decisions(5, 21, 22, 90), grace=3)
    assert (result.faults, result.recall, result.false_alarms, result.delay) == (2, 0.5, 2, 1.0)


def test_an_answer_comes_within_the_grace() -> None:
    assert score(rows([2.0] * 50, {20}), decisions(30), grace=10).recall == 1.0
    assert score(rows([2.0] * 50, {20}), decisions(31), grace=10).recall == 0.0


def test_without_faults_every_decision_is_a_false_alarm() -> None:
    result = score(rows([2.0] * 9, set()), decisions(4))
    assert (result.faults, result.false_alarms) == (0, 1)
    assert math.isnan(result.recall) and math.isnan(result.excess)


def test_the_excess_area_by_hand() -> None:
    losses = [2.0] * 20 + [5.0, 4.0, 2.5] + [2.0] * 10
    assert excess_areas(rows(losses, {21, 22})) == [pytest.approx(3.0 + 2.0 + 0.5)]
    never = [2.0] * 20 + [5.0, math.nan] + [3.0] * 8  # NaN counts as 5, and the run never recovers
    assert excess_areas(rows(never, {21})) == [pytest.approx(3.0 + 3.0 + 8 * 1.0)]


def test_a_rewound_passage_counts_in_its_order() -> None:
    passages = rows([2.0] * 10, {8}) + [{"attempt": 1, "step": step, "train_loss": 2.0} for step in range(6, 15)]
    result = score(passages, [{"attempt": 0, "step": 9, "kind": "decision_rewind"}])
    assert (result.recall, result.delay, result.false_alarms) == (1.0, 1.0, 0)


def test_the_way_back_is_no_alarm() -> None:
    def changed(step: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        return {"attempt": 0, "step": step, "kind": "decision", "before": before, "after": after}

    easier = {"data_mix": {"easy": 0.6, "hard": 0.1}}
    back = [
        changed(30, {"lr_factor": 0.5}, {"lr_factor": 0.7}),
        changed(31, {"clip": 1.0}, {"clip": None}),
        changed(32, easier, {"data_mix": None}),
    ]
    assert score(rows([2.0] * 50, set()), back).false_alarms == 0
    tighter = [
        changed(30, {"lr_factor": 1.0}, {"lr_factor": 0.5}),
        changed(31, {"clip": None, "lr_factor": 0.5}, {"clip": 1.0, "lr_factor": 0.6}),
        changed(32, {"data_mix": None}, easier),
    ]
    assert score(rows([2.0] * 50, set()), tighter).false_alarms == 3

"""The calibration of confidence: what it mends, what it keeps, and that it is applied once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimtab.errors import RunError
from trimtab.metacognition.calibration import CLIP, Calibration

RANDOM = np.random.default_rng(0)


def table(problems: int = 4000, *, distort: float = 2.0) -> tuple[Any, Any, Any]:
    """True chances of a right answer under three caps, what an overconfident model says of them, and outcomes."""
    true = np.sort(RANDOM.uniform(0.05, 0.95, (problems, 3)), axis=1)
    said = 1 / (1 + np.exp(-distort * np.log(true / (1 - true))))
    return true, said, RANDOM.random(true.shape) < true


def test_it_mends_a_model_that_is_too_sure() -> None:
    _, said, right = table()
    calibration = Calibration.fit(said, right)
    true, said, _ = table()
    before, after = (np.abs(one - true).mean() for one in (said, calibration.apply(said)))
    assert before > 0.08 and after < 0.02
    assert calibration.scale == pytest.approx((0.5,) * 3, abs=0.06)


def test_it_leaves_a_calibrated_model_nearly_as_it_is() -> None:
    true, _, right = table()
    assert np.abs(Calibration.fit(true, right).apply(true) - true).mean() < 0.02


def test_few_problems_move_it_little() -> None:
    _, said, right = table(4)
    assert all(0 < scale < 1.5 for scale in Calibration.fit(said, right).scale)  # without the pull it has no bound


def test_the_calibrated_confidence_is_clipped_and_never_falls_as_the_cap_grows() -> None:
    _, said, right = table(50)
    right[:, 1] = False  # the fits of neighbouring caps disagree
    values = Calibration.fit(said, right).apply(np.sort(RANDOM.random((500, 3)), axis=1))
    assert bool((np.diff(values, axis=1) >= 0).all())
    assert CLIP[0] <= values.min() and values.max() <= CLIP[1]
    extreme = Calibration.fit(said, right).apply(np.array([[0.0, 0.5, 1.0]]))
    assert bool(np.isfinite(extreme).all())


def test_answers_above_the_threshold_are_right_as_often_as_stated() -> None:
    _, said, right = table()
    calibration = Calibration.fit(said, right, sure=0.8)
    _, said, right = table()
    for cap, least in enumerate(calibration.thresholds):
        assert least is not None
        chosen = calibration.apply(said)[:, cap] >= least
        assert chosen.sum() > (20, 200, 1000)[cap]
        assert right[chosen, cap].mean() == pytest.approx(0.8, abs=(0.2, 0.05, 0.03)[cap])
    assert Calibration.fit(said, np.zeros_like(right)).thresholds == (None, None, None)


def test_it_is_applied_exactly_once() -> None:
    _, said, right = table()
    calibration = Calibration.fit(said, right)
    details = {"confidence_by_cap": [0.1, 0.4, 0.95], "confidence": 0.4, "cap": 4}
    once = calibration.applied_to(details, (0, 3, 6))
    assert once["confidence_by_cap"] == calibration.apply(np.array([0.1, 0.4, 0.95])).tolist()
    assert once["confidence"] == once["confidence_by_cap"][1] and once["own_confidence_by_cap"] == [0.1, 0.4, 0.95]
    assert calibration.applied_to({**details, "cap": None}, (0, 3, 6))["confidence"] == once["confidence_by_cap"][2]
    with pytest.raises(ValueError, match="calibrated already"):
        calibration.applied_to(once, (0, 3, 6))


def test_it_is_kept_in_a_file(tmp_path: Path) -> None:
    _, said, right = table(100)
    calibration, path = Calibration.fit(said, right), tmp_path / "calibration.json"
    calibration.write(path)
    assert Calibration.read(path, 3) == calibration
    for content in (
        "{",
        "[]",
        '{"schema": 2}',
        '{"schema": 1, "scale": 3}',
        path.read_text().replace('"clip"', '"cut"'),
    ):
        path.write_text(content)
        with pytest.raises(RunError, match="cannot be used"):
            Calibration.read(path, 3)
    calibration.write(path)
    with pytest.raises(RunError, match="it is not for 4 caps"):
        Calibration.read(path, 4)

import math

import numpy as np
import pytest

from tests.regimes.parts import EPISODE, seen, state
from trimtab.regimes.actions import Recent
from trimtab.regimes.features import FEATURES, features


def named(step, episode=EPISODE, recent=None):  # type: ignore[no-untyped-def]
    return dict(zip(FEATURES, features(step, episode, recent or Recent()), strict=True))


def test_features_of_a_step_by_hand() -> None:
    recent = seen(20)
    spike = state(
        21,
        loss=4.0,
        loss_ema=2.0,
        norm=3.0,
        grad_norm_ema=1.5,
        loss_z=12.0,
        grad_norm_z=-1.0,
        loss_volatility_medium=0.2,
        grad_share_over=0.25,
        update_ratio=0.04,
        val_loss=2.2,
        best_val_loss=2.0,
        anomaly_flags=("loss_spike",),
        regime="unstable",
    )
    episode = EPISODE.changed(lr_factor=0.5)
    recent.observe(spike, episode)
    seen_now = named(spike, episode, recent)
    assert seen_now == {
        "loss_z": pytest.approx(math.asinh(12)),
        "grad_norm_z": pytest.approx(math.asinh(-1)),
        "loss_over_ema": pytest.approx(math.log(2)),
        "grad_norm_over_ema": pytest.approx(math.log(2)),
        "volatility_over_medium": pytest.approx(math.log(0.5)),
        "grad_share_over": 0.25,
        "update_over_usual": pytest.approx(math.log(4)),
        "val_loss_over_best": pytest.approx(math.log(1.1)),
        "loss_spike": 1.0,
        "gradient_spike": 0.0,
        "flagged_in_a_row": pytest.approx(math.log(2)),
        "lr_factor": pytest.approx(math.log(0.5)),
        "warming": 0.0,
        "plateau": 0.0,
        "overfitting": 0.0,
        "unstable": 1.0,
    }


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0])
def test_features_are_bounded_whatever_a_step_holds(bad: float) -> None:
    names = ("loss_z", "grad_norm_z", "loss_volatility_medium", "update_ratio", "val_loss", "best_val_loss")
    broken = state(1, loss=bad, loss_ema=2.0, norm=bad, grad_norm_ema=1.0, **dict.fromkeys(names, bad))
    found = features(broken, EPISODE, Recent())
    assert np.isfinite(found).all() and np.abs(found).max() < 6


def test_an_update_that_was_skipped_is_no_unusual_update() -> None:
    assert named(state(21, update_ratio=0.0), recent=seen(20))["update_over_usual"] == 0.0

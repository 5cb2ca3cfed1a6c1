"""AutoClip and ZClip, compared with the formulas of their papers in numpy."""

import json
import math

import numpy as np
import pytest

from trimtab.config import EpisodeConfig
from trimtab.regimes import RegimeState
from trimtab.regimes.clipping import AutoClip, ZClip

NORMS = np.random.default_rng(0).lognormal(0.0, 0.4, 120).tolist()
NORMS[60], NORMS[80] = 25.0, 12.0


def state(norm: float, step: int = 1) -> RegimeState:
    return RegimeState(step, 2.0, 2.0, 0.1, norm, 1.0, 0.0)


@pytest.mark.parametrize("percentile", [10.0, 50.0, 100.0])
def test_autoclip_is_the_percentile_of_the_history(percentile: float) -> None:
    controller, episode = AutoClip(percentile=percentile), EpisodeConfig(clip=None)
    for step, norm in enumerate(NORMS, 1):
        decision = controller.update(state(norm), episode)
        assert decision is not None
        assert decision.clip == pytest.approx(np.percentile(NORMS[:step], percentile))


def test_zclip_follows_the_papers_formula() -> None:
    controller, episode = ZClip(alpha=0.97, z=2.5, warmup=25), EpisodeConfig(clip=None)
    mean, variance = float(np.mean(NORMS[:25])), float(np.var(NORMS[:25]))
    acted = 0
    for step, norm in enumerate(NORMS):
        decision = controller.update(state(norm), episode)
        if step < 25:
            assert decision is None
            continue
        score = (norm - mean) / math.sqrt(variance)
        if score > 2.5:
            acted += 1
            norm = mean + 2.5**2 / score * math.sqrt(variance)
            assert decision is not None
            assert decision.clip == pytest.approx(norm)
        else:
            assert decision is None
        mean = 0.97 * mean + 0.03 * norm
        variance = 0.97 * variance + 0.03 * (norm - mean) ** 2
    assert acted >= 2
    assert controller.mean == pytest.approx(mean)


def test_zclip_never_loosens_the_episodes_bound() -> None:
    controller = ZClip(warmup=2)
    for norm in (5.0, 5.2):
        controller.update(state(norm), EpisodeConfig(clip=1.0))
    decision = controller.update(state(50.0), EpisodeConfig(clip=1.0))
    assert decision is not None
    assert decision.clip == 1.0
    assert not decision.effective(state(50.0), EpisodeConfig(clip=1.0))


@pytest.mark.parametrize("make", [AutoClip, ZClip])
def test_memories_are_restored_from_json_and_leave_out_nonfinite_norms(make: type[AutoClip] | type[ZClip]) -> None:
    whole, pieces, episode = make(), make(), EpisodeConfig(clip=None)
    for norm in [*NORMS[:40], math.nan, math.inf, *NORMS[40:]]:
        saved = json.loads(json.dumps(pieces.state_dict()))
        pieces = make()
        pieces.load_state_dict(saved)
        assert pieces.update(state(norm), episode) == (
            None if not math.isfinite(norm) else whole.update(state(norm), episode)
        )

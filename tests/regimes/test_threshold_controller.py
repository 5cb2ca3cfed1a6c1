"""The threshold controller: when each rule acts, what it changes, and within which bounds."""

import json

import pytest

from trimtab.config import DataMix, EpisodeConfig
from trimtab.regimes import Decision, RegimeState
from trimtab.regimes.threshold_controller import ThresholdController


def state(step: int, *, norm: float = 0.5, z: float = 0.0, regime: str = "stable", **more: float) -> RegimeState:
    return RegimeState(
        step, 2.0, 2.0, more.get("volatility", 0.1), norm, 1.0, 0.0,
        loss_volatility_medium=0.1, grad_norm_z=z, regime=regime,  # type: ignore[arg-type]
    )  # fmt: skip


def follow(
    controller: ThresholdController, states: list[RegimeState], episode: EpisodeConfig
) -> list[tuple[int, Decision]]:
    """Step and decision of each decision, with each one in force for the steps after it."""
    decisions = []
    for seen in states:
        decision = controller.update(seen, episode)
        if decision is not None:
            assert decision.episode is not None
            episode = decision.episode
            decisions.append((seen.step, decision))
    return decisions


def test_a_gradient_norm_above_the_threshold_for_three_steps_halves_rate_and_clipping_bound() -> None:
    states = [state(1), state(2, norm=3.0), state(3, norm=3.0), state(4, norm=3.0)]
    ((step, decision),) = follow(ThresholdController(grad_norm=2.0, steps=3), states, EpisodeConfig(clip=1.0))
    assert step == 4
    assert decision.episode is not None
    assert (decision.episode.lr_factor, decision.episode.clip) == (0.5, 0.5)
    assert "3 steps" in decision.reason


def test_without_a_norm_threshold_the_robust_z_score_decides() -> None:
    states = [state(step, norm=0.5, z=7.0) for step in range(1, 4)]
    assert [step for step, _ in follow(ThresholdController(), states, EpisodeConfig())] == [3]
    assert (
        follow(ThresholdController(), [state(step, norm=50.0, z=1.0) for step in range(1, 30)], EpisodeConfig()) == []
    )


def test_decisions_keep_the_cooldown_and_stop_at_the_lower_bounds() -> None:
    states = [state(step, norm=9.0) for step in range(1, 400)]
    decisions = follow(ThresholdController(grad_norm=2.0, steps=3, cooldown=20), states, EpisodeConfig(clip=1.0))
    steps = [step for step, _ in decisions]
    assert min(b - a for a, b in zip(steps, steps[1:], strict=False)) > 20
    last = decisions[-1][1].episode
    assert last is not None
    assert (last.lr_factor, last.clip) == (0.05, 0.1)


def test_after_calm_steps_rate_and_bound_return_to_the_configs_values() -> None:
    states = [state(step, norm=9.0) for step in range(1, 4)] + [state(step) for step in range(4, 600)]
    decisions = follow(ThresholdController(grad_norm=2.0, calm=50), states, EpisodeConfig(clip=1.0))
    factors = [decision.episode.lr_factor for _, decision in decisions if decision.episode is not None]
    assert factors[0] == 0.5
    assert factors == sorted(factors)
    assert factors[-1] == 1.0
    assert decisions[-1][1].episode == EpisodeConfig(clip=1.0)


def test_a_plateau_raises_the_rate_up_to_its_upper_bound() -> None:
    states = [state(step, regime="plateau") for step in range(1, 2000)]
    decisions = follow(ThresholdController(stagnation=100, highest_lr=1.5), states, EpisodeConfig())
    first, last = decisions[0], decisions[-1]
    assert first[0] == 100
    assert first[1].episode is not None
    assert first[1].episode.lr_factor == pytest.approx(1.1)
    assert last[1].episode is not None
    assert last[1].episode.lr_factor == 1.5


def test_volatility_makes_the_data_easier_and_stagnation_makes_it_harder() -> None:
    mixed = EpisodeConfig(data_mix=DataMix(easy=0.3, hard=0.4))
    ((_, easier),) = follow(ThresholdController(), [state(30, volatility=0.5)], mixed)
    assert easier.episode is not None
    assert easier.episode.data_mix is not None
    assert easier.episode.data_mix.easy == pytest.approx(0.4)
    assert easier.episode.data_mix.hard == pytest.approx(0.3)
    decisions = follow(
        ThresholdController(stagnation=5), [state(step, regime="plateau") for step in range(1, 6)], mixed
    )
    assert decisions[0][1].episode is not None
    assert decisions[0][1].episode.data_mix is not None
    assert decisions[0][1].episode.data_mix.easy == pytest.approx(0.2)
    assert follow(ThresholdController(), [state(30, volatility=0.5)], EpisodeConfig()) == []


def test_a_controller_restored_from_its_state_decides_as_the_original() -> None:
    original, restored, episode = (
        ThresholdController(grad_norm=2.0),
        ThresholdController(grad_norm=2.0),
        EpisodeConfig(),
    )
    for step in range(1, 200):
        seen = state(step, norm=9.0 if step % 50 < 5 else 0.5)
        saved = json.loads(json.dumps(restored.state_dict()))
        restored = ThresholdController(grad_norm=2.0)
        restored.load_state_dict(saved)
        decision = original.update(seen, episode)
        assert restored.update(seen, episode) == decision
        if decision is not None and decision.episode is not None:
            episode = decision.episode


@pytest.mark.parametrize("share", [0.07, 0.1, 1 / 3])
def test_rounding_keeps_the_shares_of_a_mix_between_0_and_1(share: float) -> None:
    decided = 0
    for hundredth in range(101):
        mixed = EpisodeConfig(data_mix=DataMix(easy=hundredth / 100, hard=1 - hundredth / 100))
        for states in ([state(30, volatility=0.5)], [state(step, regime="plateau") for step in range(1, 6)]):
            decided += len(follow(ThresholdController(mix_shift=share, stagnation=5), states, mixed))
    assert decided > 190  # all but those where nothing is left to move

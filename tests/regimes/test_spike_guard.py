import json
import math
from typing import Any

import pytest

from trimtab.config import EpisodeConfig
from trimtab.regimes import Decision, RegimeState
from trimtab.regimes.spike_guard import SpikeGuard

EPISODE = EpisodeConfig(clip=None)


def state(step: int, loss: float, norm: float = 1.0) -> RegimeState:
    return RegimeState(step, loss, loss, 0.1, norm, 1.0, 0.0)


def calm(guard: SpikeGuard, steps: int = 40) -> SpikeGuard:
    for step in range(1, steps + 1):
        assert guard.update(state(step, 2.0 + 0.01 * (-1) ** step, 1.0 + 0.01 * (-1) ** step), EPISODE) is None
    return guard


def test_a_gradient_spike_is_clipped_to_the_bound() -> None:
    decision = calm(SpikeGuard(threshold=6.0)).update(state(41, 2.0, 9.0), EPISODE)
    assert decision is not None
    assert (decision.action, decision.clip) == ("update", pytest.approx(1.0 + 6 * 1.4826 * 0.01))


def test_a_loss_spike_is_skipped() -> None:
    decision = calm(SpikeGuard()).update(state(41, 4.0), EPISODE)
    assert decision is not None
    assert decision.action == "skip"
    assert "robust z-score" in decision.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nonfinite_values_are_spikes_and_do_not_enter_the_window(bad: float) -> None:
    guard = calm(SpikeGuard())
    before = guard.state_dict()["losses"]
    decision = guard.update(state(41, bad, bad), EPISODE)
    assert decision is not None
    assert decision.action == "skip"
    assert guard.state_dict()["losses"] == before


def test_a_lasting_spike_rewinds_to_weights_with_a_good_loss_after_them() -> None:
    guard = calm(SpikeGuard(lasting=3))
    decisions = [guard.update(state(step, 4.0), EPISODE) for step in (41, 42, 43)]
    assert [decision.action for decision in decisions if decision is not None] == ["skip", "skip", "rewind"]
    assert decisions[-1] is not None
    assert decisions[-1].rewind_to == 39  # the weights after step 40 gave the first spike
    assert guard.rewinds


def test_a_guard_that_never_rewinds_keeps_no_snapshots() -> None:
    assert not SpikeGuard(on_lasting="skip").rewinds


@pytest.mark.parametrize("answer", ["clip", "skip", "rewind"])
def test_every_reaction_can_be_chosen_for_every_spike(answer: Any) -> None:
    for key, seen in (("on_loss", state(41, 4.0, 9.0)), ("on_gradient", state(41, 2.0, 9.0))):
        decision = calm(SpikeGuard(**{key: answer})).update(seen, EPISODE)
        assert decision is not None
        assert decision.action == ("update" if answer == "clip" else answer)


def test_each_of_five_spikes_has_a_reaction() -> None:
    """A filter that lets flagged values into its own window lets the next spike through."""
    guard, answers = calm(SpikeGuard(lasting=99)), 0
    for spike in range(5):
        answers += guard.update(state(50 + 3 * spike, 4.0), EPISODE) is not None
        for offset in (1, 2):
            assert guard.update(state(50 + 3 * spike + offset, 2.0), EPISODE) is None
    assert answers == 5


def test_a_guard_restored_from_its_state_decides_as_the_original() -> None:
    whole, pieces = SpikeGuard(), SpikeGuard()
    losses = [2.0 + 0.02 * math.sin(step) for step in range(60)]
    losses[30] = losses[31] = 5.0
    for step, loss in enumerate(losses, 1):
        saved = json.loads(json.dumps(pieces.state_dict()))
        pieces = SpikeGuard()
        pieces.load_state_dict(saved)
        assert pieces.update(state(step, loss), EPISODE) == whole.update(state(step, loss), EPISODE)


def test_a_decision_is_effective_only_if_it_changes_the_run() -> None:
    episode, seen = EpisodeConfig(clip=1.0), state(1, 2.0, 0.5)
    assert not Decision("bound above the norm", clip=0.7).effective(seen, episode)
    assert Decision("bound below the norm", clip=0.4).effective(seen, episode)
    assert not Decision("the same config", episode=episode).effective(seen, episode)
    assert Decision("another config", episode=episode.changed(clip=0.5)).effective(seen, episode)
    assert Decision("left out", action="skip").effective(seen, episode)
    assert Decision("looser for once", clip=3.0).effective(state(1, 2.0, 2.0), episode)

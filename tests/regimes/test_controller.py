import dataclasses

import pytest

from trimtab.config import REGISTRIES, EpisodeConfig
from trimtab.regimes import Decision, NoController, RegimeController, RegimeState


def test_no_controller_decides_nothing_and_remembers_nothing() -> None:
    controller: RegimeController = REGISTRIES["regime_controller"].build({"name": "none"})
    assert isinstance(controller, NoController)
    state = RegimeState(1, 2.0, 2.0, 0.1, 1.0, 1.0, 0.0)
    assert controller.update(state, EpisodeConfig()) is None
    assert controller.state_dict() == {}
    controller.load_state_dict({})


def test_a_decision_and_an_observation_cannot_be_changed() -> None:
    decision = Decision("the loss rose")
    assert (decision.episode, decision.action) == (None, "update")
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.reason = "other"  # type: ignore[misc]
    state = RegimeState(1, 2.0, 2.0, 0.1, 1.0, 1.0, 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step = 2  # type: ignore[misc]

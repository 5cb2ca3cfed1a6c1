import math

import pytest

from tests.regimes.parts import EPISODE, SPIKES, seen, state
from trimtab.config import EpisodeConfig
from trimtab.config.episode import RewindConfig
from trimtab.regimes.actions import Recent, action_of, possible


def test_the_bound_of_clip_is_the_median_of_norms_that_were_not_spikes() -> None:
    recent = seen(21)  # 11 norms of 0.99, 10 of 1.01
    spike = state(22, norm=50.0)
    recent.observe(spike, EPISODE)
    assert possible(spike, EPISODE, recent)["clip"].clip == pytest.approx(0.99)


def test_clip_is_possible_only_where_it_binds() -> None:
    recent = seen(21)
    for norm, episode, able in ((0.5, EPISODE, False), (2.0, EPISODE, True), (2.0, EpisodeConfig(clip=0.3), False)):
        assert ("clip" in possible(state(22, norm=norm), episode, recent)) is able
    assert "clip" not in possible(state(1, norm=2.0), EPISODE, Recent())  # no norm is known


def test_a_rewind_goes_to_before_the_update_that_led_to_the_first_flagged_step() -> None:
    recent = seen(20)
    for step in (21, 22, 23):
        recent.observe(state(step, anomaly_flags=SPIKES), EPISODE)
    assert possible(state(23, anomaly_flags=SPIKES), EPISODE, recent)["rewind"].rewind_to == 19


def test_a_rewind_ends_a_row_of_flagged_steps() -> None:
    recent = seen(20)
    for step in (21, 22):
        recent.observe(state(step, anomaly_flags=SPIKES), EPISODE)
    recent.observe(state(16, anomaly_flags=SPIKES), EPISODE)  # after the rewind to step 15
    assert recent.flagged == 1


def test_a_rewind_is_possible_until_the_run_has_made_as_many_as_it_may() -> None:
    episode = EPISODE.model_copy(update={"rewind": RewindConfig(limit=2)})
    recent, able = Recent(), []
    for step in (11, 12, 12, 13, 5, 6):  # 12 and 5 follow rewinds
        recent.observe(state(step), episode)
        able.append("rewind" in possible(state(step), episode, recent))
    assert able == [True, True, True, True, False, False]
    again = Recent()
    again.load_state_dict(recent.state_dict())
    assert "rewind" not in possible(state(7), episode, again)


@pytest.mark.parametrize("values", [{"loss": math.nan}, {"loss": math.inf}, {"norm": math.inf}, {"norm": math.nan}])
def test_a_step_that_makes_no_update_is_neither_skipped_nor_clipped(values: dict[str, float]) -> None:
    assert list(possible(state(22, **values), EPISODE, seen(21))) == ["rewind", "lower_rate"]
    assert list(possible(state(22, norm=2.0), EPISODE, seen(21))) == ["skip", "clip", "rewind", "lower_rate"]


def test_the_rate_is_halved_down_to_an_eighth_and_restored_to_its_first_value() -> None:
    first = EPISODE.changed(lr_factor=0.8)
    recent = seen(20, first)
    assert "restore_rate" not in possible(state(21), first, recent)
    rates = [0.8]
    while (lower := possible(state(21), first.changed(lr_factor=rates[-1]), recent).get("lower_rate")) is not None:
        assert lower.episode is not None
        rates.append(lower.episode.lr_factor)
    assert rates == [0.8, 0.4, 0.2, 0.1]
    restored = possible(state(21), first.changed(lr_factor=0.2), recent)["restore_rate"].episode
    assert restored == first


@pytest.mark.parametrize(
    ("kind", "before", "after", "action"),
    [
        ("decision_skip", None, None, "skip"),
        ("decision_clip", {"clip": None}, {"clip": 0.5}, "clip"),
        ("decision_rewind", None, None, "rewind"),
        ("decision", {"lr_factor": 1.0}, {"lr_factor": 0.5}, "lower_rate"),
        ("decision", {"lr_factor": 0.5}, {"lr_factor": 1.0}, "restore_rate"),
        ("decision", {"lr_factor": 1.0, "clip": 1.0}, {"lr_factor": 0.5, "clip": 0.5}, None),
        ("decision", {}, {"lr_factor": 0.5}, None),
        ("decision", {"lr_factor": 1.0}, {"lr_factor": "x"}, None),
        ("decision_stop", None, None, None),
    ],
)
def test_a_recorded_decision_is_recognised(kind: str, before: object, after: object, action: str | None) -> None:
    assert action_of(kind, before, after) == action


def test_what_was_seen_recently_survives_a_checkpoint() -> None:
    recent = seen(30)
    recent.observe(state(31, norm=9.0, anomaly_flags=SPIKES), EPISODE)
    again = Recent()
    again.load_state_dict(recent.state_dict())
    assert again.state_dict() == recent.state_dict()
    assert (again.flagged, again.usual_update) == (1, pytest.approx(0.01))

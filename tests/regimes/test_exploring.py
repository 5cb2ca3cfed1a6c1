import json

from tests.regimes.parts import EPISODE, SPIKES, state
from trimtab.config import REGISTRIES
from trimtab.regimes import Decision
from trimtab.regimes.actions import ACTIONS
from trimtab.regimes.exploring import Exploring


def decisions(explorer: Exploring, steps: range, *, flagged: bool = True, shift: float = 0.0) -> list[Decision | None]:
    flags = SPIKES if flagged else ()
    return [
        explorer.update(state(step, loss=2 + step / 100 + shift, norm=1 + step % 3, anomaly_flags=flags), EPISODE)
        for step in steps
    ]


def test_actions_are_drawn_from_all_that_are_possible_at_the_given_rate() -> None:
    drawn = decisions(Exploring(flagged=0.5), range(1, 401))
    made = [decision for decision in drawn if decision is not None]
    assert 160 < len(made) < 240
    names = {decision.reason.split(",")[0] for decision in made}
    assert names == set(ACTIONS) - {"restore_rate"}  # the rate was never lower
    assert "drawn at random from" in made[0].reason and made[0].reason.endswith("at a flagged step")
    calm = decisions(Exploring(calm=0.03), range(1, 401), flagged=False)
    assert 3 < sum(decision is not None for decision in calm) < 25
    assert decisions(Exploring(flagged=0.0), range(1, 101)) == [None] * 100


def test_draws_depend_on_the_seed_the_loss_and_the_number_of_steps_alone() -> None:
    first = decisions(Exploring(), range(1, 101))
    assert decisions(Exploring(), range(1, 101)) == first
    assert decisions(Exploring(seed=1), range(1, 101)) != first
    assert decisions(Exploring(), range(1, 101), shift=1e-12) != first
    explorer = Exploring()
    same_step = [explorer.update(state(50, anomaly_flags=SPIKES), EPISODE) for _ in range(40)]  # as after rewinds
    assert len({None if one is None else one.action for one in same_step}) > 2


def test_it_goes_on_the_same_from_its_state() -> None:
    whole = decisions(Exploring(), range(1, 101))
    first = Exploring()
    assert decisions(first, range(1, 61)) == whole[:60]
    second = REGISTRIES["regime_controller"].build({"name": "exploring", "flagged": 0.5, "calm": 0.03, "seed": 0})
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.rewinds
    assert decisions(second, range(61, 101)) == whole[60:]

"""The step at which a controller first acts. Until then its arm is the baseline's run, so only the rest is trained."""

from dataclasses import dataclass
from typing import Any

from trimtab.config import REGISTRIES
from trimtab.records import RunDirectory
from trimtab.records.checkpoints import checkpoint_steps
from trimtab.regimes import RegimeState, observations
from trimtab.training.config import RunConfig


@dataclass(frozen=True)
class FirstAction:
    """The first decision of a controller that would change the baseline's run, and the step at which a fork has to start.

    `start` is the newest checkpoint from which the fork has everything that the decision may need (0: the beginning).
    `controller` is the controller's state after step `start`.
    """

    step: int
    reason: str
    start: int
    controller: dict[str, Any]


def first_action(baseline: RunDirectory, config: RunConfig) -> FirstAction | None:
    """Replay the controller of `config` over the baseline's records; None when it never acts.

    The baseline has no controller of its own, and its episode is that of `config` but for the controller.
    """
    spec = config.episode.regime_controller
    assert spec is not None
    rows = baseline.steps()
    seen = list(observations(rows))
    acted = _replayed(spec.spec, seen, config)
    if acted is None:
        return None
    step, reason = acted
    latest = _latest_start(seen, step, config)
    start = max((step for step in checkpoint_steps(baseline.checkpoints_path) if step <= latest), default=0)
    controller = REGISTRIES["regime_controller"].build(spec.spec)
    for state in seen[:start]:
        controller.update(state, config.episode)
    return FirstAction(step, reason, start, controller.state_dict())


def _replayed(spec: dict[str, Any], seen: list[RegimeState], config: RunConfig) -> tuple[int, str] | None:
    controller = REGISTRIES["regime_controller"].build(spec)
    for state in seen:
        decision = controller.update(state, config.episode)
        if decision is not None and decision.effective(state, config.episode):
            return state.step, decision.reason
    return None


def _latest_start(seen: list[RegimeState], step: int, config: RunConfig) -> int:
    """The last step from which a fork has the same ring of snapshots at `step` as an uninterrupted run."""
    spec = config.episode.regime_controller
    assert spec is not None
    controller = REGISTRIES["regime_controller"].build(spec.spec)
    if not getattr(controller, "rewinds", False):
        return step - 1
    rewind = config.episode.rewind
    taken = [s.step for s in seen[: step - 1] if not s.anomaly_flags and s.step % rewind.every == 0]
    if len(taken) < rewind.keep:
        return 0  # the snapshot of the beginning is still in the ring
    return taken[-rewind.keep] - 1

"""What each intervention did by itself: the same state with and without it, on the same batches."""

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.config import EpisodeConfig
from trimtab.errors import RunError
from trimtab.experiments.jobs import Job
from trimtab.records import RunDirectory, to_json
from trimtab.records.atomic import write_json
from trimtab.records.manifest import read_object
from trimtab.regimes import Controller, Decision, RegimeController, RegimeState
from trimtab.runtime.checkpoint import Snapshot
from trimtab.runtime.logger import MemoryLogger
from trimtab.training import RunContext
from trimtab.training.config import RunConfig
from trimtab.training.runs.assembly import assemble
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import restore_run, state_at

NAME = "twins.json"


class Once(Controller):
    """Asks another controller at the first step only, and follows its decision or ignores it; then it does nothing."""

    def __init__(self, inner: RegimeController, *, follow: bool) -> None:
        self._inner, self._follow, self._asked = inner, follow, False
        self.rewinds = bool(getattr(inner, "rewinds", False))

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The inner controller's decision, the first time and when it is followed."""
        if self._asked:
            return None
        self._asked = True
        decision = self._inner.update(state, episode_config)
        return decision if self._follow else None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the inner controller's memory."""
        self._inner.load_state_dict(state)


def run_twins(job: Job, context: RunContext) -> dict[str, Any]:
    """Hold the interventions of the finished episode in `job.parent` against twins that did nothing, into `twins.json`.

    `job.options` holds `steps` and `at_most`. Both twins of an intervention begin with the state just before it; one follows
    the decision, both do nothing afterwards, and both draw the same `steps` batches (fewer near the run's end). The effect
    is followed - ignored: of the mean training loss over the batches after the intervention's own, and of the validation
    loss at the end.
    """
    assert job.parent is not None
    run, path = RunDirectory(job.parent), RunDirectory(job.folder).path / NAME
    wanted = {"weights_sha256": _weights(run), **job.options}
    if path.exists():
        try:
            if wanted.items() <= read_twins(path).items():
                return {"status": "completed", "reused": True}
        except RunError:
            pass  # it is made anew
    config = recorded_config(run.manifest(), run)
    decisions = [row for row in run.events() if row["kind"].startswith("decision")]
    chosen = _spread(decisions, job.options["at_most"])
    if context.display is not None:
        context.display.begin(len(chosen))
    looked_at = []
    for decision in chosen:
        if context.stop() is not None:
            return {"status": "interrupted"}
        effect = _effect(run, config, decision, job.options["steps"])
        if effect is not None:
            keys = ("step", "attempt", "kind", "reason")
            looked_at.append({key: decision[key] for key in keys} | {"effect": effect})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, to_json(wanted | {"decisions": len(decisions), "interventions": looked_at}))
    return {"status": "completed"}


def read_twins(path: Path) -> dict[str, Any]:
    """What `run_twins` wrote. Raises RunError where it is damaged."""
    found = read_object(path, "record of interventions", "no twins have been run")
    if not (isinstance(found.get("decisions"), int) and isinstance(found.get("interventions"), list)):
        raise RunError(f"The record of interventions {path} is damaged. Remove it and run the experiment again.")
    return found


def _weights(run: RunDirectory) -> str | None:
    summary = run.summary()
    return None if summary is None else summary.weights_sha256


def _spread(decisions: list[dict[str, Any]], at_most: int | None) -> list[dict[str, Any]]:
    """`at_most` of them, evenly spread, the first and the last included; None for all."""
    if at_most is None or len(decisions) <= at_most:
        return decisions
    places = np.linspace(0, len(decisions) - 1, at_most).round().astype(int)
    return [decisions[place] for place in places]


def _effect(run: RunDirectory, config: RunConfig, decision: dict[str, Any], steps: int) -> dict[str, float] | None:
    """The intervention's effects; None where no batch is left after its own, as for one that stops the run."""
    count = min(steps, config.episode.steps - decision["step"] + 1)
    if count < 2:
        return None
    start = state_at(run.path, (decision["attempt"], decision["step"] - 1))
    followed, ignored = (_go(run, config, start, count, follow=follow) for follow in (True, False))
    common = min(len(followed[0]), len(ignored[0]))
    if common < 2:
        return None
    return {
        "train_loss": statistics.fmean(followed[0][1:common]) - statistics.fmean(ignored[0][1:common]),
        "val_loss": followed[1] - ignored[1],
    }


def _go(
    run: RunDirectory, config: RunConfig, start: Snapshot | None, count: int, *, follow: bool
) -> tuple[list[float], float]:
    """Training losses by batch and the final validation loss of one twin, none above the untrained model's where not finite."""
    assembly, log = assemble(config), MemoryLogger()
    trainer = assembly.trainer(log, lambda: "the twins' last step" if len(log.steps) >= count else None)
    trainer.state.controller = Once(trainer.state.controller, follow=follow)
    manifest = run.manifest()
    if start is not None:
        restore_run(trainer, start, manifest.run_id, manifest.parent)
    trainer.train(assembly.train_loader, assembly.val_loader)
    first = trainer.state.divergence.untrained_loss
    losses = [_finite(float(row["train_loss"]), first) for row in log.steps]
    return losses, _finite(trainer.evaluate(assembly.val_loader)["val_loss"], trainer.state.untrained_loss)


def _finite(loss: float, untrained: float | None) -> float:
    return loss if math.isfinite(loss) or untrained is None else untrained

"""The effect of each intervention: the run continued with and without it, from one state and on the same batches."""

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from trimtab.config import EpisodeConfig
from trimtab.errors import RunError
from trimtab.experiments.jobs import Job
from trimtab.records import RunDirectory
from trimtab.records.atomic import write_json
from trimtab.records.experiment_files import EFFECTS, EpisodeEffects
from trimtab.records.manifest import read_object
from trimtab.records.problems import problems_of
from trimtab.regimes import Controller, Decision, RegimeController, RegimeState
from trimtab.runtime.checkpoint import Snapshot
from trimtab.runtime.events import Started
from trimtab.runtime.logger import MemoryLogger
from trimtab.training import RunContext
from trimtab.training.config import RunConfig
from trimtab.training.runs.assembly import assemble
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import restore_run, state_at


class Once(Controller):
    """Calls another controller at the first step only, and follows or ignores its decision; decides nothing afterwards."""

    def __init__(self, inner: RegimeController, *, follow: bool) -> None:
        self._inner, self._follow, self._called = inner, follow, False
        self.rewinds = bool(getattr(inner, "rewinds", False))

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The inner controller's decision, the first time and when it is followed."""
        if self._called:
            return None
        self._called = True
        decision = self._inner.update(state, episode_config)
        return decision if self._follow else None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the inner controller's state."""
        self._inner.load_state_dict(state)


def measure_interventions(job: Job, context: RunContext) -> dict[str, Any]:
    """Measure the effects of the interventions of the finished episode in `job.parent`; writes `effects.json`.

    `job.options` holds `steps` and `at_most`. For each intervention two copies of the run start from the state just before it.
    One follows the decision and the other ignores it, both decide nothing afterwards, and both train on the same `steps`
    batches (fewer near the end of the run). The effect is followed minus ignored: of the mean training loss over the batches
    after the intervention's own, and of the validation loss at the end.
    """
    assert job.parent is not None
    run, path = RunDirectory(job.parent), RunDirectory(job.folder).path / EFFECTS
    wanted = {"weights_sha256": _weights(run), **job.options}
    if path.exists():
        try:
            if wanted.items() <= read_effects(path).model_dump().items():
                return {"status": "completed", "reused": True}
        except RunError:
            pass  # it is made again
    config = recorded_config(run.manifest(), run)
    decisions = [row for row in run.events() if row["kind"].startswith("decision")]
    chosen = _spread(decisions, job.options["at_most"])
    if context.events is not None:
        context.events(Started("interventions", str(path.parent), "intervention", len(chosen)))
    measured = []
    for decision in chosen:
        if context.stop() is not None:
            return {"status": "interrupted"}
        effect = _effect(run, config, decision, job.options["steps"])
        if effect is not None:
            keys = ("step", "attempt", "kind", "reason")
            measured.append({key: decision[key] for key in keys} | {"effect": effect})
    path.parent.mkdir(parents=True, exist_ok=True)
    record = EpisodeEffects.model_validate(wanted | {"decisions": len(decisions), "interventions": measured})
    write_json(path, record.model_dump())
    return {"status": "completed"}


def read_effects(path: Path) -> EpisodeEffects:
    """The content of `effects.json`. Raises RunError where it is missing or damaged."""
    raw = read_object(path, "record of interventions", "no intervention was measured")
    try:
        return EpisodeEffects.model_validate(raw)
    except ValidationError as error:
        raise RunError(
            f"The record of interventions {path} is damaged: {problems_of(error)}. Remove it and run the experiment again."
        ) from error


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
    """Training losses by batch and the final validation loss of one copy; the untrained model's in place of a non-finite one."""
    assembly, log = assemble(config), MemoryLogger()
    trainer = assembly.trainer(log, lambda: "the last step to compare" if len(log.steps) >= count else None)
    trainer.state.controller = Once(trainer.state.controller, follow=follow)
    manifest = run.manifest()
    if start is not None:
        restore_run(assembly, trainer, start, manifest.run_id, manifest.parent)
    trainer.train(assembly.train_loader, assembly.val_loader)
    first = trainer.state.divergence.baseline
    losses = [_finite(float(row["train_loss"]), first) for row in log.steps]
    return losses, _finite(trainer.evaluate(assembly.val_loader)["val_loss"], trainer.state.untrained_loss)


def _finite(loss: float, untrained: float | None) -> float:
    return loss if math.isfinite(loss) or untrained is None else untrained

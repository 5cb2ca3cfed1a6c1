"""The decisions of an experiment's controllers with the states that they saw and their measured effects, from the records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.errors import ConfigError, RunError
from trimtab.experiments.history import Step, history
from trimtab.experiments.interventions import read_effects
from trimtab.records import RunDirectory
from trimtab.records.experiment_files import EFFECTS, SAME_AS, SPEC, EpisodeEffects
from trimtab.records.experiment_spec import read_spec
from trimtab.records.hashing import content_sha256
from trimtab.records.places import place
from trimtab.regimes import observations
from trimtab.regimes.actions import Recent, action_of, possible
from trimtab.regimes.features import features
from trimtab.regimes.fitting import Point
from trimtab.training.runs.recorded import recorded_config

_CHOOSING = ("exploring", "learned")
"""The controllers whose decisions are actions of `trimtab.regimes.actions`."""

_EVERY = 10


@dataclass(frozen=True)
class Ledger:
    """The points of all episodes, and where they come from.

    `metric` is the one that the effects are of, `horizons` the steps over which they were measured. `runs` counts the runs
    with effects, `recorded` all runs of such controllers. `decisions` counts the decisions of the `runs`, `unmeasured` those
    of them without an effect that can be used, and `not_finite` those of the unmeasured whose effect is recorded as nan or
    infinite. `fingerprint` is the SHA-256 of all points, whatever the order of the folders and of the runs in them.
    """

    points: list[Point]
    metric: str
    horizons: list[int]
    runs: int
    recorded: int
    decisions: int
    unmeasured: int
    not_finite: int
    fingerprint: str

    @property
    def seeds(self) -> list[int]:
        """The trunk seeds."""
        return sorted({point.seed for point in self.points})

    @property
    def card(self) -> dict[str, Any]:
        """What a policy records of the data that it was fitted to."""
        return {
            "metric": self.metric,
            "horizons": self.horizons,
            "ledger": {
                "fingerprint": self.fingerprint,
                "runs": self.runs,
                "seeds": self.seeds,
                "decisions": self.decisions - self.unmeasured,
            },
        }


@dataclass(frozen=True)
class _Episode:
    """What one run adds to a ledger; its points do not have their run's number yet."""

    points: list[Point]
    horizon: int
    decisions: int
    unmeasured: int
    not_finite: int

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the points, by the names of their fields, without the number of the run."""
        return content_sha256(
            [
                {name: value for name, value in vars(point).items() if name != "episode"}
                | {"features": point.features.tolist(), "possible": list(point.possible)}
                for point in self.points
            ]
        )


def read_ledger(folders: list[Path], metric: str) -> Ledger:
    """The decisions of the controllers `exploring` and `learned` in the experiments in `folders`.

    Raises `ConfigError` for a folder that is given twice. Raises `RunError` for a run that is in two folders, for a folder
    without an experiment, for damaged or incomplete records, for effects that belong to other records than those of the run,
    and where no effect was measured.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError(f"A folder is named twice in {', '.join(map(str, folders))}. Name each experiment once.")
    episodes, recorded, seen = list[_Episode](), 0, dict[str, Path]()
    for folder in folders:
        spec = read_spec(folder / SPEC)
        for arm, seed, cell in product(spec.arms, spec.seed_list, spec.cells):
            run = RunDirectory(folder / place("episodes", arm, seed, cell))
            path = folder / place("interventions", arm, seed, cell) / EFFECTS
            if not run.exists():
                if path.exists() and not (run.path / SAME_AS).exists():
                    raise RunError(
                        f"{path} has effects of a run that is not in {run.path}. Restore the run from a copy."
                    )
                continue
            manifest = run.manifest()
            if not path.exists():
                recorded += _controller(manifest.config) in _CHOOSING
                continue
            controller = recorded_config(manifest, run).episode.regime_controller
            if controller is None or controller.name not in _CHOOSING:
                continue
            if (first := seen.setdefault(manifest.run_id, run.path)) != run.path:
                raise RunError(
                    f"{run.path} and {first} hold the same run ({manifest.run_id}). Name one of the experiments."
                )
            recorded += 1
            episodes.append(_episode(run, read_effects(path), path, metric, arm, seed))
    if not any(point.action is not None for episode in episodes for point in episode.points):
        raise RunError(
            f"No measured decision of a controller `exploring` or `learned` is in {', '.join(map(str, folders))}. Give the "
            "folder of an experiment with `intervention_effects` and an arm with such a controller, such as "
            "configs/learned_controller_ledger.yaml."
        )
    keyed = sorted(((episode.fingerprint, episode) for episode in episodes), key=lambda pair: pair[0])
    return Ledger(
        points=[replace(point, episode=number) for number, (_, one) in enumerate(keyed) for point in one.points],
        metric=metric,
        horizons=sorted({episode.horizon for episode in episodes}),
        runs=len(episodes),
        recorded=recorded,
        decisions=sum(episode.decisions for episode in episodes),
        unmeasured=sum(episode.unmeasured for episode in episodes),
        not_finite=sum(episode.not_finite for episode in episodes),
        fingerprint=content_sha256([fingerprint for fingerprint, _ in keyed]),
    )


def _controller(config: Mapping[str, Any]) -> Any:
    """The name of the controller in a config that nothing has checked; None where there is none."""
    episode = config.get("episode")
    controller = episode.get("regime_controller") if isinstance(episode, dict) else None
    return controller.get("name") if isinstance(controller, dict) else None


def _episode(run: RunDirectory, effects: EpisodeEffects, path: Path, metric: str, arm: str, seed: int) -> _Episode:
    """The points of one run, from the first step that its controller saw.

    Steps without a decision are points where the monitor flagged them, and else every tenth of them. A fork's points begin
    after its parent's steps, except for a lazy fork: its controller saw those too, and decided nothing.
    """
    summary, past = run.summary(), history(run)
    if summary is None or summary.weights_sha256 != effects.weights_sha256:
        raise RunError(
            f"The effects in {path} were measured on another run than the one in {run.path}. Remove the file and run the "
            "experiment again."
        )
    decided = {step.at: step.event for step in past.steps[past.own :] if step.event is not None}
    _check_complete(run, effects, path, decided)
    measured = {(one.attempt, one.step): one.effect for one in effects.interventions}
    refused = {(row.get("attempt"), row.get("step")) for row in run.events() if row["kind"] == "rewind_refused"}
    recent, points, unmeasured, not_finite = Recent(), list[Point](), 0, 0
    states = observations([step.row for step in past.steps])
    for index, (step, state) in enumerate(zip(past.steps, states, strict=True)):
        if index < past.begin:
            continue
        recent.observe(state, step.episode)
        if index < past.points:
            continue
        seen, actions = features(state, step.episode, recent), possible(state, step.episode, recent)
        if not np.isfinite(seen).all():
            raise RunError(
                f"The records of the run in {run.path} are damaged: the row of step {step.at[1]} gives a feature that is not "
                "finite. Restore steps.jsonl from a copy."
            )
        if step.event is None:
            if state.anomaly_flags or index % _EVERY == 0:
                points.append(Point(0, seed, index, seen, tuple(actions), None, 0.0))
            continue
        action = action_of(step.event["kind"], step.event.get("before"), step.event.get("after"))
        if action not in actions or (actions[action].episode or step.episode) != step.after:
            raise _impossible(run, step)
        if step.at not in measured:
            unmeasured += 1
            continue
        if metric not in measured[step.at]:
            raise RunError(
                f"{path} is damaged: the effect at step {step.at[1]} of the arm '{arm}' has no {metric}. Remove the file and run "
                "the experiment again."
            )
        effect = float(measured[step.at][metric])
        if not math.isfinite(effect):
            unmeasured, not_finite = unmeasured + 1, not_finite + 1
            continue
        if step.at in refused:
            # Beyond the limit a rewind only skips the step. A fork's controller does not know how many rewinds the parent made.
            if "skip" not in actions:
                unmeasured += 1
                continue
            action = "skip"
        points.append(Point(0, seed, index, seen, tuple(actions), action, effect))
    return _Episode(points, effects.steps, len(decided), unmeasured, not_finite)


def _check_complete(
    run: RunDirectory, effects: EpisodeEffects, path: Path, decided: Mapping[tuple[int, int], dict[str, Any]]
) -> None:
    """Raise `RunError` unless the run has the decisions that its effects were measured on."""
    if effects.decisions != len(decided):
        raise RunError(
            f"{path} was written for a run with {effects.decisions} decisions, and the events of the run in {run.path} have "
            f"{len(decided)}. Restore both from a copy, or remove {path.name} and run the experiment again."
        )
    places = [(one.attempt, one.step) for one in effects.interventions]
    for one, at in zip(effects.interventions, places, strict=True):
        if at not in decided or decided[at]["kind"] != one.kind or places.count(at) > 1:
            raise RunError(
                f"{path} is damaged: it has the effect of a {one.kind} at step {one.step} (attempt {one.attempt}) that is not "
                f"among the decisions of the run in {run.path}, or has it twice. Remove the file and run the experiment again."
            )


def _impossible(run: RunDirectory, step: Step) -> RunError:
    assert step.event is not None
    return RunError(
        f"The decision at step {step.at[1]} of the run in {run.path} ({step.event['kind']}) was not possible by its records. "
        "They were changed, or written by another version of Trimtab."
    )

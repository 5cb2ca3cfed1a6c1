"""The steps that led to a run's end, a fork's parent included, with what the controllers decided at them."""

import json
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from trimtab.boundary import listed
from trimtab.config import EpisodeConfig
from trimtab.errors import RunError
from trimtab.records import Parent, RunDirectory
from trimtab.records.problems import problems_of
from trimtab.regimes import RegimeState
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import last_attempt_at

_NEEDED = (*RegimeState.COLUMNS, "param_update_norm", "update_ratio")
_NOT_NULL = ("val_loss", "best_val_loss")
"""Columns that a row may lack, but not have without a value."""


@dataclass(frozen=True)
class Step:
    """A row of a run, and the decision that its controller made at that step, if any.

    `episode` is the config that the controller received, and `after` the config from this step on.
    """

    row: dict[str, Any]
    event: dict[str, Any] | None
    episode: EpisodeConfig
    after: EpisodeConfig

    @property
    def at(self) -> tuple[int, int]:
        """Attempt and step."""
        return self.row.get("attempt", 0), self.row["step"]


@dataclass(frozen=True)
class History:
    """The steps of a run; for a fork, after those of its parent.

    The run's own steps begin at the index `own`. Its controller's memory begins at `begin`: a fork's new controller remembers
    nothing of the parent, and one that was carried over from the parent does. Its decisions begin at `points`: a lazy fork's
    controller decided nothing at the parent's steps, and at those of any other parent the parent's controller decided.
    """

    steps: list[Step]
    own: int = 0
    begin: int = 0
    points: int = 0


def history(run: RunDirectory, forks: frozenset[str] = frozenset()) -> History:
    """The steps of a run from its records; `forks` are the ids of the runs that descend from it.

    Raises `RunError` where the records are damaged or incomplete.
    """
    manifest = run.manifest()
    if manifest.run_id in forks:
        raise RunError(f"{run.manifest_path} is damaged: the run is its own parent. Restore it from a copy.")
    config, forks = recorded_config(manifest, run).episode, forks | {manifest.run_id}
    past = History([]) if manifest.parent is None else _before_fork(run, manifest.parent, config, forks)
    steps, episode = list(past.steps), config
    if manifest.parent is not None and steps:
        changeable = {name for name in EpisodeConfig.changeable() if f"episode.{name}" not in manifest.parent.changed}
        episode = config.changed(**{name: getattr(steps[-1].after, name) for name in changeable})
    decisions = _decisions(run)
    for row in run.steps():
        _check_row(run, row)
        event, before = decisions.pop((row.get("attempt", 0), row["step"]), None), episode
        if event is not None:
            episode = _changed(run, event, episode)
        steps.append(Step(row, event, before, episode))
    if decisions:
        attempt, step = min(decisions)
        raise RunError(
            f"{run.steps_path} is incomplete: it has no row for the decision at step {step} (attempt {attempt}). Restore the run "
            "from a copy."
        )
    return replace(past, steps=steps)


def _before_fork(run: RunDirectory, parent: Parent, config: EpisodeConfig, forks: frozenset[str]) -> History:
    """The parent's steps before a fork."""
    origin = RunDirectory(parent.path)
    if (found := origin.manifest().run_id) != parent.run_id:
        raise RunError(
            f"The run in {run.path} is a fork of the run {parent.run_id}, and {parent.path} now holds the run {found}. Move the "
            f"run {parent.run_id} back there."
        )
    before = history(origin, forks)
    at = last_attempt_at([step.row for step in before.steps], parent.step), parent.step
    steps = [step for step in before.steps if step.at <= at]
    count = len(steps)
    if parent.controller is not None:  # a lazy fork: the controller was replayed over these steps, with its own config
        return History([replace(step, episode=config, after=config) for step in steps], own=count)
    new = {"episode.regime_controller", "episode.loss"} & set(parent.changed)
    return History(steps, own=count, begin=count if new else before.begin, points=count)


def _decisions(run: RunDirectory) -> dict[tuple[int, int], dict[str, Any]]:
    """The events of the decisions in a run, by attempt and step."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for event in run.events():
        if not event["kind"].startswith("decision"):
            continue
        attempt, step = event.get("attempt"), event.get("step")
        if attempt is None or step is None:
            raise RunError(
                f"{run.events_path} is damaged: a {event['kind']} has no step or attempt. Restore it from a copy."
            )
        if (attempt, step) in found:
            raise RunError(
                f"{run.events_path} is damaged: it has two decisions at step {step}. Restore it from a copy."
            )
        found[attempt, step] = event
    return found


def _check_row(run: RunDirectory, row: dict[str, Any]) -> None:
    missing = [name for name in _NEEDED if row.get(name) is None]
    missing += [name for name in _NOT_NULL if name in row and row[name] is None]
    if missing:
        raise RunError(
            f"{run.steps_path} is damaged: the row of step {row['step']} has no {missing[0]}. Restore it from a copy."
        )


def _changed(run: RunDirectory, event: dict[str, Any], episode: EpisodeConfig) -> EpisodeConfig:
    """The config after a decision: with the values under `after`, except for a clip, which holds for one step."""
    after = event.get("after")
    try:
        if not isinstance(after, dict | None):
            raise ValueError("what it changed is not an object")
        values = {
            key: value for key, value in (after or {}).items() if (event["kind"], key) != ("decision_clip", "clip")
        }
        if others := values.keys() - EpisodeConfig.changeable():
            raise ValueError(f"no decision changes {listed(sorted(others))}")
        return EpisodeConfig.model_validate_json(json.dumps(episode.model_dump(mode="json") | values), strict=True)
    except ValueError as error:
        reason = problems_of(error) if isinstance(error, ValidationError) else str(error)
        raise RunError(
            f"{run.events_path} is damaged: the {event['kind']} at step {event['step']}: {reason}. Restore it from a copy."
        ) from error

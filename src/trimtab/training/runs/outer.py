"""Manifests of runs that are made of training runs, such as a search, and what they depend on."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from trimtab.config import config_hash
from trimtab.records import Manifest, code_state, new_run_id, now, numeric_differences
from trimtab.training.runs.conditions import Conditions
from trimtab.version import __version__


def outer_manifest(
    kind: str,
    config: BaseModel,
    conditions: Conditions,
    data: str,
    command: Sequence[str],
    *,
    metric: dict[str, Any] | None = None,
) -> Manifest:
    """The manifest of a run of a kind. `config` is its own, with a `seed`; `conditions` are those of the runs within it."""
    commit, dirty = code_state()
    plain = config.model_dump(mode="json")
    return Manifest.model_validate(
        {
            "kind": kind,
            "run_id": new_run_id(),
            "created_at": now(),
            "git_commit": commit,
            "git_dirty": dirty,
            "config_hash": config_hash(config),
            "config": plain,
            "hooks": conditions.hooks,
            "components": conditions.components,
            "seed": plain["seed"],
            "data": {"name": data, "fingerprint": conditions.data_fingerprint},
            "environment": conditions.environment,
            **({} if metric is None else {"metric": metric}),
            "trimtab": __version__,
            "command": list(command),
        }
    )


def outer_changes(recorded: Manifest, config: BaseModel, conditions: Conditions) -> list[str]:
    """What such a run depends on and has changed since it began, one phrase each."""
    changes = []
    if recorded.config_hash != config_hash(config):
        changes.append("the config")
    if recorded.data.fingerprint != conditions.data_fingerprint:
        changes.append("the data")
    if recorded.environment.get("source_hash") != conditions.environment["source_hash"]:
        changes.append("Trimtab's code")
    numeric = numeric_differences(recorded.environment, conditions.environment)
    return changes + [f"{key}: {a!r} then, {b!r} now" for key, a, b in numeric]

"""How a manifest is shown, in the reports of experiments and of runs alike."""

import json
from typing import Any

from trimtab.records import Manifest


def commit(git_commit: str | None, git_dirty: bool | None) -> str:
    """The commit of the code that ran."""
    shown = git_commit or "unknown"
    return f"{shown}, with uncommitted changes" if git_dirty else shown


def manifest_rows(manifest: Manifest, status: str) -> tuple[tuple[str, str], ...]:
    """What a run's manifest says about where its records come from."""
    rows = [
        ("run", manifest.run_id),
        ("started", manifest.created_at),
        ("status", status),
        ("Trimtab", manifest.trimtab),
        ("commit", commit(manifest.git_commit, manifest.git_dirty)),
        ("config hash", manifest.config_hash),
        ("seed", str(manifest.seed)),
        ("data", f"{manifest.data.name}, fingerprint {manifest.data.fingerprint}"),
    ]
    if manifest.model is not None:
        rows.append(("model", f"{manifest.model.parameters:,} parameters, {manifest.model.trained:,} of them trained"))
        rows.append(("model's fingerprint", manifest.model.fingerprint or "not recorded"))
    rows += [(f"environment: {name}", plain(value)) for name, value in manifest.environment.items()]
    return tuple(rows)


def plain(value: Any) -> str:
    """A value of a manifest as text: a list of texts with commas, anything else as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

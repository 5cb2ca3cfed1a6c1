"""The config of a recorded run. The records may come from somebody else, so they cannot decide which code is imported."""

from trimtab.config import RunError, kind_named, recorded_root
from trimtab.records import Manifest, RunDirectory
from trimtab.training.config import RunConfig
from trimtab.training.kind import TRAINING


def recorded_config(manifest: Manifest, run: RunDirectory) -> RunConfig:
    """The config in a manifest, validated.

    Raises `RunError`, before anything is imported, for a run of another kind, for a config that does not have its recorded hash,
    and for a config that names code which is not allowed (`allowing_code`). Raises it after the components were imported for a
    config that this version resolves to another one.
    """
    refuse_other_runs(manifest, run)
    return recorded_root(RunConfig, manifest.config, manifest.config_hash, str(run.manifest_path))


def refuse_other_runs(manifest: Manifest, run: RunDirectory) -> None:
    """Raise `RunError` for a run that is not made of training steps."""
    if manifest.kind != TRAINING.name:
        kind = kind_named(manifest.kind, f"{run.manifest_path}: ")
        config = f" {run.path / kind.config_file}" if kind.config_file is not None else " CONFIG"
        raise RunError(
            f"{run.path} holds {kind.noun}, which has no training steps. `{kind.command}{config} --out {run.path}` resumes "
            f"it, and `trimtab show {run.path}` shows its state."
        )

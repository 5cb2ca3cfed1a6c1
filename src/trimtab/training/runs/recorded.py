"""The config of a recorded run, read without trust: whoever wrote the folder must not decide what is executed."""

from trimtab.config import RunError, kind_named, recorded_root
from trimtab.records import Manifest, RunDirectory
from trimtab.training.config import RunConfig
from trimtab.training.kind import TRAINING


def recorded_config(manifest: Manifest, run: RunDirectory) -> RunConfig:
    """The config in a manifest, validated.

    Raises `RunError` for a run of another kind, for a config that does not have its recorded hash, and for code that it names
    and that is not allowed (`allowing_code`); nothing has been imported then.
    """
    refuse_other_runs(manifest, run)
    return recorded_root(RunConfig, manifest.config, manifest.config_hash, str(run.manifest_path))


def refuse_other_runs(manifest: Manifest, run: RunDirectory) -> None:
    """Raise `RunError` for a run that is not made of training steps."""
    if manifest.kind != TRAINING.name:
        kind = kind_named(manifest.kind, f"{run.manifest_path}: ")
        config = f" {run.path / kind.config_file}" if kind.config_file is not None else " CONFIG"
        raise RunError(
            f"{run.path} holds {kind.noun}, which has no training steps. `{kind.command}{config} --out {run.path}` goes on with "
            f"it, and `trimtab show {run.path}` shows its state."
        )

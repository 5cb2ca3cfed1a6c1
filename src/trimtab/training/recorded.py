"""The config of a recorded run, read without trust: whoever wrote the folder must not decide what is executed."""

from trimtab.config import RunConfig, RunError
from trimtab.config.load import recorded_root
from trimtab.records import MEMORY_CONFIG, Manifest, RunDirectory


def recorded_config(manifest: Manifest, run: RunDirectory) -> RunConfig:
    """The config in a manifest, validated.

    Raises `RunError` for a memory run, for a config that does not have its recorded hash, and for code that it names and that
    is not allowed (`allowing_code`); nothing has been imported then.
    """
    refuse_memory_run(run)
    return recorded_root(RunConfig, manifest.config, manifest.config_hash, str(run.manifest_path))


def refuse_memory_run(run: RunDirectory) -> None:
    """Raise `RunError` for a memory run, which has no training steps."""
    if (memory := run.path / MEMORY_CONFIG).is_file():
        raise RunError(
            f"{run.path} holds a memory run, which has no training steps. `trimtab memory run {memory} --out {run.path}` goes on "
            f"with it, and `trimtab show {run.path}` shows its state."
        )

"""Where the runs of a search are in its folder, and which of their checkpoints are kept."""

from pathlib import Path

from trimtab.records import RunDirectory, remove_tree_atomically
from trimtab.runtime.checkpoint import prune


def trial_folder(search: Path, trial: int, seed: int) -> Path:
    """The run of a trial with a seed."""
    return search / "trials" / f"{trial:04d}" / f"seed-{seed}"


def probe_folder(run: Path, step: int) -> Path:
    """The fork by which a run is evaluated at its pause."""
    return run.with_name(f"{run.name}-probe-{step}")


def confirmation_folder(search: Path, seed: int, part: int, parts: int) -> Path:
    """A part of the best settings' training with a fresh seed; most have one part."""
    folder = search / "confirmation" / f"seed-{seed}"
    return folder if parts == 1 else folder / f"part-{part + 1}"


def drop_checkpoints(run: Path) -> None:
    """Remove every checkpoint of a run that has ended."""
    folder = RunDirectory(run).checkpoints_path
    if folder.is_dir():
        remove_tree_atomically(folder)


def drop_all_checkpoints(folder: Path, but: Path | None = None) -> None:
    """Remove every checkpoint of the runs below a folder, but for those of one run."""
    for checkpoints in folder.rglob("checkpoints"):
        if checkpoints.parent != but:
            drop_checkpoints(checkpoints.parent)


def keep_newest(run: Path) -> None:
    """Remove every checkpoint but the newest."""
    folder = RunDirectory(run).checkpoints_path
    if folder.is_dir():
        prune(folder, 1)

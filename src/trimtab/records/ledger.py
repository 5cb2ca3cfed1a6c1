"""The runs in a folder, read from their own records each time."""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.boundary import printable, read_regular, shortened
from trimtab.errors import RunError
from trimtab.records.jsonl import last_row
from trimtab.records.lock import is_held
from trimtab.records.manifest import Manifest, experiment_in
from trimtab.records.run_directory import RunDirectory
from trimtab.records.values import is_number, numbers_in

_PRUNED = {"checkpoints", "plots", "exports"}
_LONGEST_REASON = 300


@dataclass(frozen=True)
class RunRow:
    """One run as a list shows it. `path` is relative to the folder listed; seconds; None where nothing is known.

    `status` is the run directory's, or "damaged" where its manifest or summary cannot be read; `problem` says why.
    `steps` and `val_loss` are the summary's, or of the last rows written so far.
    """

    path: str
    run_id: str
    created_at: str
    status: str
    steps: int | None
    val_loss: float | None
    seconds: float | None
    config_hash: str
    seed: int | None
    data: str
    model: str
    parent: str | None
    folder: str = ""
    problem: str = ""
    contains: bool = False
    """Whether runs inside its folder were left out."""

    @property
    def directory(self) -> RunDirectory:
        """The run itself."""
        return RunDirectory(Path(self.folder) / self.path)


def runs(folder: str | Path, *, nested: bool = True) -> list[RunRow]:
    """Every run under `folder`, oldest first; a run that cannot be read is listed as "damaged".

    Without `nested`, the runs inside another run below `folder` are left out, such as those that a search made.
    Each run's manifest and summary are read, its other records only where it has not ended, and nothing is written. The
    hashes of the records are not compared (`integrity.altered` does that). Raises RunError when `folder` is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"There is no folder {folder} to list runs in.")
    rows = [_read_run(folder, path, contains) for path, contains in _run_folders(folder, nested=nested)]
    return sorted(rows, key=lambda row: (row.created_at, row.path))


def find(folder: str | Path, name: str) -> RunRow:
    """The run that `name` means: a path (as given, or below `folder`) or the first letters of a run_id.

    Raises RunError when no run or several answer to it.
    """
    folder = Path(folder)
    for base, path in ((Path(name), "."), (folder, name)):
        if name and RunDirectory(base / path).exists():
            return _read_run(base, base / path)
    for place in (Path(name), folder / name):
        if name and (clause := experiment_in(place)) is not None:
            raise RunError(f"'{printable(name)}' is not a run: {clause}.")
    rows = runs(folder)
    matches = [row for row in rows if row.run_id.startswith(name)] if name else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = ", ".join(f"{row.run_id} ({row.path})" for row in matches[:5])
        raise RunError(
            f"'{name}' matches {len(matches)} runs in {folder}: {listed}. Give more letters of the run_id, or a path."
        )
    near = difflib.get_close_matches(name, [row.run_id for row in rows] + [row.path for row in rows], n=3)
    hint = f" Similar names: {', '.join(near)}." if near else ""
    raise RunError(
        f"'{name}' is neither the folder of a run nor the beginning of a run_id in {folder}.{hint} "
        f"`trimtab list {folder}` shows all runs."
    )


def _run_folders(folder: Path, *, nested: bool) -> Iterator[tuple[Path, bool]]:
    """The folder of each run, and whether folders in it are left out."""
    for name, children, files in os.walk(folder):
        here = "manifest.json" in files or "manifest.json" in children
        children[:] = sorted(child for child in children if child not in _PRUNED and not child.startswith("."))
        if here and _is_run(Path(name)):
            left_out = not nested and Path(name) != folder and bool(children)
            if left_out:
                children.clear()
            yield Path(name), left_out


def _is_run(path: Path) -> bool:
    """Whether a manifest.json is ours: other programs use the name too. A damaged one of ours has our other files in the same
    folder."""
    if (path / "steps.jsonl").exists() or (path / "events.jsonl").exists():
        return True
    try:
        return b'"config_hash"' in read_regular(path / "manifest.json")
    except OSError:
        return False


def _read_run(folder: Path, path: Path, contains: bool = False) -> RunRow:
    run = RunDirectory(path)
    relative = path.relative_to(folder).as_posix()
    try:
        row = replace(_row(run, run.manifest(), relative, str(folder)), contains=contains)
    except RunError as error:
        reason = shortened(printable(str(error).replace(f"{path}{os.sep}", "")), _LONGEST_REASON)
        return RunRow(
            relative, "", "", "damaged", None, None, None, "", None, "", "", None, folder=str(folder), problem=reason
        )
    return row


def _row(run: RunDirectory, manifest: Manifest, relative: str, folder: str) -> RunRow:
    summary = run.summary()
    model = manifest.config.get("model")
    status = "running" if is_held(run.lock_path) else summary.status if summary else "interrupted"
    return RunRow(
        path=relative,
        run_id=manifest.run_id,
        created_at=manifest.created_at,
        status=status,
        steps=summary.steps if summary else int(_last(run.steps_path, "step", int) or 0),
        val_loss=_number(summary.metrics.get("val_loss"))
        if summary
        else _last(run.evaluations_path, "val_loss", float),
        seconds=summary.seconds if summary else None,
        config_hash=manifest.config_hash,
        seed=manifest.seed,
        data=manifest.data.name,
        model=str(model.get("name", "")) if isinstance(model, dict) else "",
        parent=manifest.parent.run_id if manifest.parent else None,
        folder=folder,
    )


def _last(path: Path, column: str, kind: type[int] | type[float]) -> float | None:
    """A number of the last row, None where there is none, or none of this kind."""
    try:
        row = last_row(path)
    except RunError:
        return None  # missing or damaged: `show` and `export` report it, a list does not
    value = _number(numbers_in(row.get(column))) if row else None
    return value if kind is float or isinstance(value, int) else None


def _number(value: Any) -> float | None:
    return value if is_number(value) else None

"""The index of a folder of runs: a SQLite view of what the run directories say, deletable at any time."""

import difflib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from trimtab.errors import RunError
from trimtab.records.jsonl import last_row
from trimtab.records.lock import is_held
from trimtab.records.run_directory import INDEX_NAME, RunDirectory
from trimtab.records.values import from_json, is_number, to_json

_LOG = logging.getLogger(__name__)
_PRUNED = {"checkpoints", "plots", "exports"}
_SCHEMA = 1  # raise it with any change of RunRow: an index of another version is rebuilt


@dataclass(frozen=True)
class RunRow:
    """One run as a list shows it. `path` is relative to the folder listed; seconds; None where nothing is known.

    `status` is the run directory's, or "damaged" where its manifest or summary cannot be read. `steps` and `val_loss`
    are the summary's, or of the last rows written so far.
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

    @property
    def directory(self) -> RunDirectory:
        """The run itself."""
        return RunDirectory(Path(self.folder) / self.path)


_STORED = [field.name for field in fields(RunRow) if field.name != "folder"]


def runs(folder: str | Path) -> list[RunRow]:
    """Every run under `folder`, oldest first. Refreshes the index `folder/.trimtab-index.sqlite` on the way.

    Only run directories that changed since are read again, vanished ones are dropped. A corrupt index is rebuilt, which
    is logged; where none can be written (a read-only folder) the list is made in memory. Raises RunError when `folder`
    is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"There is no folder {folder} to list runs in.")
    index = folder / INDEX_NAME
    try:
        rows = _refresh(str(index), folder)
    except sqlite3.OperationalError as error:  # read-only, or another process is at it for long
        _LOG.debug("no index at %s (%s): listing in memory", index, error)
        rows = _refresh(":memory:", folder)
    except sqlite3.DatabaseError as error:
        rows = _rebuild(index, folder, error)
    # whether a process is at work is asked each time: its death changes no file
    live = [replace(row, folder=str(folder), status=_live_status(folder, row)) for row in rows]
    return sorted(live, key=lambda row: (row.created_at, row.path))


def find(folder: str | Path, name: str) -> RunRow:
    """The run that `name` means: a path (as it stands, or below `folder`) or the first letters of a run_id.

    Raises RunError when no run or several answer to it.
    """
    folder = Path(folder)
    for base, path in ((Path(name), "."), (folder, name)):
        if name and RunDirectory(base / path).exists():
            row = _read_run(base, base / path)
            return replace(row, folder=str(base), status=_live_status(base, row))
    rows = runs(folder)
    matches = [row for row in rows if row.run_id.startswith(name)] if name else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = ", ".join(f"{row.run_id} ({row.path})" for row in matches[:5])
        raise RunError(f"'{name}' means {len(matches)} runs under {folder}: {listed}. Give more letters, or a path.")
    near = difflib.get_close_matches(name, [row.run_id for row in rows] + [row.path for row in rows], n=3)
    hint = f" Near: {', '.join(near)}." if near else ""
    raise RunError(
        f"No run under {folder} has a path or a run_id beginning with '{name}'.{hint} `trimtab list {folder}` shows all."
    )


def _rebuild(index: Path, folder: Path, error: sqlite3.DatabaseError) -> list[RunRow]:
    try:
        index.unlink()
    except OSError:
        _LOG.warning("The index %s is corrupt (%s) and cannot be replaced: listing in memory.", index, error)
        return _refresh(":memory:", folder)
    _LOG.warning("The index %s was corrupt (%s) and has been rebuilt from the run directories.", index, error)
    return _refresh(str(index), folder)


def _refresh(database: str, folder: Path) -> list[RunRow]:
    with closing(sqlite3.connect(database, timeout=5)) as connection, connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
            connection.execute("DROP TABLE IF EXISTS runs")
            connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        columns = ", ".join(_STORED)
        connection.execute(f"CREATE TABLE IF NOT EXISTS runs ({columns}, stamp, PRIMARY KEY (path))")
        known = dict(connection.execute("SELECT path, stamp FROM runs"))
        found = {path.relative_to(folder).as_posix(): path for path in _run_folders(folder)}
        gone = [(path,) for path in known if path not in found]
        connection.executemany("DELETE FROM runs WHERE path = ?", gone)
        for place, path in found.items():
            stamp = _stamp(path)
            if known.get(place) != stamp:
                marks = ", ".join("?" * (len(_STORED) + 1))
                row = _read_run(folder, path)
                values = [to_json(getattr(row, name)) for name in _STORED]  # SQLite would turn a nan into NULL
                connection.execute(f"INSERT OR REPLACE INTO runs ({columns}, stamp) VALUES ({marks})", [*values, stamp])
        return [_from_index(row) for row in connection.execute(f"SELECT {columns} FROM runs")]


def _from_index(values: tuple[Any, ...]) -> RunRow:
    row = RunRow(*values)
    return replace(row, val_loss=from_json(row.val_loss), seconds=from_json(row.seconds))


def _run_folders(folder: Path) -> Iterator[Path]:
    for name, children, files in os.walk(folder):
        children[:] = sorted(child for child in children if child not in _PRUNED and not child.startswith("."))
        if "manifest.json" in files and _is_run(Path(name)):
            yield Path(name)


def _is_run(path: Path) -> bool:
    """Whether a manifest.json is ours: other programs use the name too. A damaged one of ours has our files beside it."""
    try:
        return b'"config_hash"' in (path / "manifest.json").read_bytes() or (path / "steps.jsonl").exists()
    except OSError:
        return (path / "steps.jsonl").exists()


def _stamp(path: Path) -> str:
    """Changes whenever a file does that `_read_run` reads."""
    run = RunDirectory(path)
    parts = []
    for file in (run.manifest_path, run.summary_path, run.steps_path, run.evaluations_path):
        try:
            status = file.stat()
            parts.append(f"{status.st_mtime_ns}:{status.st_size}:{status.st_ino}")
        except OSError:
            parts.append("-")  # not there (yet)
    return " ".join(parts)


def _read_run(folder: Path, path: Path) -> RunRow:
    run = RunDirectory(path)
    relative = path.relative_to(folder).as_posix()
    try:
        manifest, summary = run.manifest(), run.summary()
    except RunError:
        return RunRow(relative, "", "", "damaged", None, None, None, "", None, "", "", None)
    model = manifest.config.get("model")
    return RunRow(
        path=relative,
        run_id=manifest.run_id,
        created_at=manifest.created_at,
        status=summary.status if summary else "interrupted",
        steps=summary.steps if summary else int(_last(run.steps_path, "step") or 0),
        val_loss=_number(summary.metrics.get("val_loss")) if summary else _last(run.evaluations_path, "val_loss"),
        seconds=summary.seconds if summary else None,
        config_hash=manifest.config_hash,
        seed=manifest.seed,
        data=manifest.data.name,
        model=str(model.get("name", "")) if isinstance(model, dict) else "",
        parent=manifest.parent.run_id if manifest.parent else None,
    )


def _last(path: Path, column: str) -> float | None:
    try:
        row = last_row(path, numbers=True)
    except RunError:
        return None  # not there yet, or damaged: `show` and `export` say so, a list goes on
    return _number(row.get(column)) if row else None


def _number(value: Any) -> float | None:
    return value if is_number(value) else None


def _live_status(folder: Path, row: RunRow) -> str:
    return "running" if is_held(RunDirectory(folder / row.path).lock_path) else row.status

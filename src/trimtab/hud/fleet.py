"""The runs and experiments in a folder, in few reads: a run is read again only where its files have changed."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab.boundary import open_regular, printable
from trimtab.errors import TrimtabError
from trimtab.hud.words import number
from trimtab.records.experiment_files import PROGRESS, SPEC, read_progress
from trimtab.records.lock import is_held
from trimtab.records.manifest import Manifest, Summary
from trimtab.records.tail import parsed

_PRUNED = {"checkpoints", "plots", "exports"}
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Entry:
    """A run or an experiment as the list shows it.

    `done` of `total` are steps, trials or episodes; `figure` is its main number.
    """

    folder: Path
    name: str
    kind: str
    status: str
    done: int = 0
    total: int | None = None
    figure: str = ""
    speed: float | None = None
    """Tokens per second."""
    left: float | None = None
    """Seconds left."""
    created: str = ""
    seed: int | None = None
    config_hash: str = ""
    parent: str | None = None
    problem: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The share that is done, in [0, 1]."""
        if self.status == "completed":
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0


class Fleet:
    """The entries below a folder. `scan` reads what changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: tuple[Entry, ...] = ()
        self._known: dict[Path, tuple[Any, Entry]] = {}
        self._folders: list[tuple[Path, str]] = []
        self._walked = 0.0

    def scan(self, *, walk_every: float = 2.0) -> bool:
        """Look for new and changed runs. Returns `True` if an entry changed."""
        now = time.monotonic()
        if now - self._walked >= walk_every or not self._walked:
            self._folders, self._walked = list(_folders(self.folder)), now
        known: dict[Path, tuple[Any, Entry]] = {}
        for path, kind in self._folders:
            signature = _signature(path)
            before = self._known.get(path)
            known[path] = (
                before if before is not None and before[0] == signature else (signature, self._read(path, kind))
            )
        self._known = known
        entries = tuple(
            sorted((entry for _, entry in known.values()), key=lambda one: (one.created, one.name), reverse=True)
        )
        changed = entries != self.entries
        self.entries = entries
        return changed

    def _read(self, path: Path, kind: str) -> Entry:
        name = path.relative_to(self.folder).as_posix()
        name = path.resolve().name if name == "." else name
        try:
            return _experiment(path, name) if kind == "experiment" else _run(path, name)
        except TrimtabError as error:
            status = "running" if is_held(path / ".lock") else "damaged"
            return Entry(path, name, kind, status, problem=printable(str(error)))


def _folders(folder: Path) -> Iterator[tuple[Path, str]]:
    """The folders of experiments and runs; those inside another run or experiment are left out."""
    for name, children, files in os.walk(folder):
        path = Path(name)
        children[:] = sorted(child for child in children if child not in _PRUNED and not child.startswith("."))
        if PROGRESS in files or SPEC in files:
            yield path, "experiment"
            children.clear()
        elif "manifest.json" in files and _is_run(path, files, children):
            yield path, "run"
            children.clear()


def _is_run(path: Path, files: list[str], children: list[str]) -> bool:
    """Whether a manifest.json is that of a run: other programs use the name too."""
    if {"events.jsonl", "steps.jsonl", ".lock"} & set(files):
        return True
    return any((path / child / "manifest.json").exists() for child in children)


def _signature(path: Path) -> tuple[object, ...]:
    """What changes when an entry does. A run of parts changes with the files of its parts."""
    parts: list[object] = [is_held(path / ".lock")]
    for name in ("manifest.json", "summary.json", "steps.jsonl", "events.jsonl", PROGRESS):
        with contextlib.suppress(OSError):
            status = (path / name).stat()
            parts.append((name, status.st_mtime_ns, status.st_size))
    for name in ("think", "layer"):
        with contextlib.suppress(OSError):
            parts.append((path / name / "steps.jsonl").stat().st_size)
    return tuple(parts)


def _run(path: Path, name: str) -> Entry:
    manifest = Manifest.read(path / "manifest.json")
    summary = Summary.read(path / "summary.json") if (path / "summary.json").exists() else None
    status = "running" if is_held(path / ".lock") else summary.status if summary else "interrupted"
    base = Entry(
        path,
        name,
        manifest.kind,
        status,
        created=manifest.created_at,
        seed=manifest.seed,
        config_hash=manifest.config_hash,
        parent=manifest.parent.run_id if manifest.parent else None,
        figures={} if summary is None else summary.metrics,
        config=manifest.config,
    )
    return _PROGRESS.get(manifest.kind, _training)(base, summary)


def _training(base: Entry, summary: Summary | None) -> Entry:
    rows = _last_rows(base.folder / "steps.jsonl")
    episode = base.config.get("episode")
    total = episode.get("steps") if isinstance(episode, dict) else None
    return _stepped(base, rows, total if isinstance(total, int) else None, summary)


def _stepped(base: Entry, rows: list[dict[str, Any]], total: int | None, summary: Summary | None) -> Entry:
    last = rows[-1] if rows else None
    values: dict[str, Any] = {"total": total}
    if last is not None:
        values["done"] = last["step"] if isinstance(last.get("step"), int) else 0
        values["figure"] = f"loss {number(last.get('train_loss'))}"
    if last is not None and base.status == "running":
        rate, pace = _rates(rows)
        values["speed"] = rate
        if pace and total:
            values["left"] = (total - values["done"]) * pace
    if summary is not None and base.status != "running":
        values["done"] = summary.steps
        values["speed"] = summary.tokens_per_second
        if isinstance(loss := summary.metrics.get("val_loss"), float):
            values["figure"] = f"val {number(loss)}"
    return Entry(**{**vars(base), **values})


def _rates(rows: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Tokens per second, and seconds per step, over neighbouring rows."""
    try:
        seconds = sum(row["seconds"] for row in rows[1:])
        tokens = rows[-1]["tokens"] - rows[0]["tokens"]
    except (KeyError, TypeError):
        return None, None
    if len(rows) < 2 or seconds <= 0 or tokens < 0:
        return None, None
    return tokens / seconds, seconds / (len(rows) - 1)


def _thinking(base: Entry, summary: Summary | None) -> Entry:
    total, done, figure = 0, 0, ""
    for part, key in (("think", "run.episode.steps"), ("layer", "layer.steps")):
        value: Any = base.config
        for piece in key.split("."):
            value = value.get(piece) if isinstance(value, dict) else None
        total += value if isinstance(value, int) else 0
        rows = _last_rows(base.folder / part / "steps.jsonl")
        if rows:
            last = rows[-1]
            done = max(done, int(last.get("step") or 0))
            figure = f"{part}: loss {number(last.get('train_loss'))}"
    predicted = base.figures.get("predicted")
    if isinstance(predicted, dict):
        figure = f"gain {number(predicted.get('gain'))}"
    return Entry(**{**vars(base), "done": done, "total": total or None, "figure": figure})


def _search(base: Entry, summary: Summary | None) -> Entry:
    done, best = 0, None
    lower = not (base.config.get("metric_record") or {}).get("higher_is_better", False)
    with contextlib.suppress(OSError), open_regular(base.folder / "events.jsonl") as file:
        for row in parsed(file.read())[0]:
            if row.get("kind") == "result":
                done += 1
                value = row.get("value")
                if isinstance(value, float) and (best is None or (value < best if lower else value > best)):
                    best = value
    total = base.config.get("trials")
    figure = "" if best is None else f"best {number(best)}"
    return Entry(**{**vars(base), "done": done, "total": total if isinstance(total, int) else None, "figure": figure})


def _memory(base: Entry, summary: Summary | None) -> Entry:
    stages = base.config.get("stages")
    total = len(stages) if isinstance(stages, list) else None
    folder = base.folder / "stages"
    done = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
    return Entry(**{**vars(base), "done": done, "total": total, "figure": f"{done} stages" if done else ""})


_PROGRESS = {"training": _training, "thinking": _thinking, "search": _search, "memory": _memory}
"""How far a run of a kind is; other kinds are shown as training runs, whose files they may have."""


def _experiment(path: Path, name: str) -> Entry:
    progress = read_progress(path / PROGRESS)
    status: str = progress.status
    if is_held(path / ".lock"):
        status = "running"
    elif status == "running":
        status = "interrupted"  # it was killed
    done = sum(1 for one in progress.episodes.values() if one.status in ("completed", "diverged", "stopped"))
    verdict = ""
    return Entry(
        path,
        name,
        "experiment",
        status,
        done=done,
        total=planned_episodes(path),
        figure=verdict,
        created=progress.created_at,
        config_hash=progress.spec_hash,
        problem="; ".join(event.error for event in progress.events[-1:]),
    )


def planned_episodes(path: Path) -> int | None:
    """The number of episodes of an experiment; None where its spec cannot be read."""
    from trimtab.records.experiment_spec import read_spec

    try:
        spec = read_spec(path / SPEC)
    except TrimtabError:
        return None
    return len(spec.arms) * len(spec.seed_list) * len(spec.cells)


def _last_rows(path: Path) -> list[dict[str, Any]]:
    """The last whole rows of a file, those that have room in one block."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size - _BLOCK)
            block = os.pread(file.fileno(), _BLOCK, start)
    except OSError:
        return []
    return parsed(block[block.find(b"\n") + 1 if start else 0 : block.rfind(b"\n") + 1])[0]

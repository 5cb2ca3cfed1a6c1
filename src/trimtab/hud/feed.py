"""The records of one run, followed while it writes them."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from trimtab.boundary import printable, read_regular
from trimtab.errors import RunError
from trimtab.hud.table import Table
from trimtab.records.lock import is_held
from trimtab.records.manifest import Manifest, Summary
from trimtab.records.tail import Tail, glimpse

_Record = TypeVar("_Record", Manifest, Summary)

MOST_ROWS = 5000
"""Rows of a file that are kept whole: the latest ones. Their numbers are all in the file's table."""

LARGE = 8 << 20
"""Bytes of a file that are not read at once; an overview of the file is shown meanwhile."""

_SLICE = 0.004
"""Seconds for which the lock is held at a time."""


class Rows:
    """A followed file: its numbers as a table, and its latest rows whole."""

    def __init__(self, path: Path) -> None:
        self.tail = Tail(path)
        self.table = Table()
        self.overview: Table | None = None
        self.rows: list[dict[str, Any]] = []
        self.damaged = 0
        self._elapsed = 0.0

    @property
    def shown(self) -> Table:
        """The table to draw: an overview until a long file is read."""
        return self.table if self.overview is None else self.overview

    def read(self, lock: threading.Lock, until: float) -> bool:
        """Read until the file's end or the time `until`. Returns `True` if something changed."""
        changed = False
        if self.tail.offset == 0 and self.overview is None and self.tail.size() > LARGE:
            overview = Table()
            overview.extend(glimpse(self.tail.path))
            with lock:
                self.overview, changed = overview, True
        while True:
            read = self.tail.read(1 << 16)
            if read.restart:
                with lock:
                    self.table.clear()
                    self.rows, self.damaged, self._elapsed = [], 0, 0.0
            self._add_elapsed(read.rows)
            for start in range(0, len(read.rows), 64):
                with lock:
                    self.table.extend(read.rows[start : start + 64])
            if read.rows or read.restart or read.damaged:
                changed = True
                with lock:
                    self.rows = (self.rows + read.rows)[-MOST_ROWS:]
                    self.damaged += read.damaged
            if not read.more:
                if self.overview is not None:
                    with lock:
                        self.overview, changed = None, True
                return changed
            if time.monotonic() >= until:
                return changed

    def _add_elapsed(self, rows: list[dict[str, Any]]) -> None:
        """Add the time since the start of the run to rows that have the time of their step."""
        for row in rows:
            seconds = row.get("seconds")
            if isinstance(seconds, float):
                self._elapsed += seconds
                row["elapsed"] = self._elapsed


class Feed:
    """What is known of the run in a folder. `poll` reads what is new, in any thread; the rest is for the screen.

    Files are followed from the first moment that somebody asks for them, by `rows_of` or `document`. Nothing is raised for a
    folder that is missing, half-written or damaged: `problem` says what is wrong.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.manifest: Manifest | None = None
        self.summary: Summary | None = None
        self.running = False
        self.problem = ""
        self.version = 0
        """Rises at every change."""
        self.files: dict[str, Rows] = {}
        self._documents: dict[str, tuple[tuple[int, int] | None, Any]] = {}
        self._signatures: dict[str, tuple[int, int] | None] = {}
        for name in ("steps.jsonl", "events.jsonl"):
            self._follow(name)

    @property
    def steps(self) -> Table:
        """The table of `steps.jsonl`."""
        return self.files["steps.jsonl"].shown

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config; empty before the manifest is there."""
        return {} if self.manifest is None else self.manifest.config

    @property
    def status(self) -> str:
        """The state of the run, in the words of `RunDirectory.status`; `starting` before the manifest is there."""
        if self.running:
            return "running"
        if self.summary is not None:
            return self.summary.status
        if self.manifest is None:
            return "damaged" if self.problem else "starting"
        return "interrupted"

    def table(self, name: str) -> Table:
        """The numbers of a file of rows."""
        return self._follow(name).shown

    def rows_of(self, name: str) -> Sequence[dict[str, Any]]:
        """The latest rows of a file."""
        return self._follow(name).rows

    def document(self, name: str) -> Any:
        """The JSON value of a file that is written as a whole; None where there is none."""
        return self._documents.setdefault(name, (None, None))[1]

    def setting(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key of the config."""
        value: Any = self.config
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value

    def poll(self, seconds: float = 0.02) -> bool:
        """Read what is new, for about so many seconds. Returns `True` if something changed."""
        until = time.monotonic() + seconds
        changed = self._poll_states()
        for rows in list(self.files.values()):
            changed = rows.read(self.lock, until) or changed
        for name in list(self._documents):
            changed = self._poll_document(name) or changed
        if changed:
            self.version += 1
        return changed

    @property
    def damaged_lines(self) -> int:
        """Lines of the followed files that are no rows."""
        return sum(rows.damaged for rows in self.files.values())

    @property
    def complete(self) -> bool:
        """Whether no file has an overview in place of all its rows."""
        return all(rows.overview is None for rows in self.files.values())

    def _follow(self, name: str) -> Rows:
        if name not in self.files:
            self.files[name] = Rows(self.folder / name)
        return self.files[name]

    def _poll_states(self) -> bool:
        changed = False
        running = is_held(self.folder / ".lock")
        if running != self.running:
            self.running, changed = running, True
        if (signature := _signature(self.folder / "manifest.json")) != self._signatures.get("manifest"):
            self._signatures["manifest"], changed = signature, True
            self.manifest = self._record(Manifest, "manifest.json", signature)
        if (signature := _signature(self.folder / "summary.json")) != self._signatures.get("summary"):
            self._signatures["summary"], changed = signature, True
            self.summary = self._record(Summary, "summary.json", signature)
        return changed

    def _record(self, kind: type[_Record], name: str, signature: tuple[int, int] | None) -> _Record | None:
        """A manifest or a summary; None where it is missing, or damaged, which `problem` says then."""
        self.problem = ""
        if signature is None:
            return None
        try:
            return kind.read(self.folder / name)
        except RunError as error:
            self.problem = printable(str(error))
            return None

    def _poll_document(self, name: str) -> bool:
        signature = _signature(self.folder / name)
        before, _ = self._documents[name]
        if signature == before:
            return False
        value = None
        if signature is not None:
            try:
                value = json.loads(read_regular(self.folder / name))
            except (OSError, ValueError, RecursionError):
                value = None  # half-written by another program, or damaged: `trimtab show` says which
        self._documents[name] = (signature, value)
        return True


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size)


class View:
    """A run as its screen shows it: its own records, and those of its part that trains a model, if the run has parts.

    A training run is its own part. The parts of a thinking run are `think` and `layer`; those of a memory run are its stages.
    """

    def __init__(self, folder: Path) -> None:
        self.main = Feed(folder)
        self._parts: dict[str, Feed] = {}
        self.chosen: str | None = None
        """The part that a person chose; None for the newest."""
        self._looked = 0.0

    @property
    def kind(self) -> str:
        """The name of the kind of run."""
        if (self.main.folder / "experiment.json").exists():
            return "experiment"
        return "" if self.main.manifest is None else self.main.manifest.kind

    @property
    def parts(self) -> list[str]:
        """The names of the run's parts, oldest first."""
        return list(self._parts)

    @property
    def part(self) -> str | None:
        """The part that is shown."""
        if self.chosen in self._parts:
            return self.chosen
        return next(reversed(self._parts), None)

    @property
    def stage(self) -> Feed:
        """The records of the part that is shown; those of the run itself where it has no parts."""
        part = self.part
        return self.main if part is None else self._parts[part]

    @property
    def version(self) -> tuple[int, int, str | None]:
        """Changes whenever the records do."""
        return self.main.version, self.stage.version, self.part

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the records as they are for the block."""
        with ExitStack() as stack:
            for feed in dict.fromkeys((self.main, self.stage)):
                stack.enter_context(feed.lock)
            yield

    def choose_next(self) -> None:
        """Show the next part."""
        if len(self._parts) > 1:
            names = self.parts
            self.chosen = names[(names.index(self.part or names[0]) + 1) % len(names)]

    def poll(self, seconds: float = 0.02) -> bool:
        """Read what is new."""
        changed = self.main.poll(seconds / 2)
        if time.monotonic() - self._looked > 1.0:
            self._looked = time.monotonic()
            changed = self._find_parts() or changed
        stage = self.stage
        if stage is not self.main:
            changed = stage.poll(seconds / 2) or changed
        return changed

    def _find_parts(self) -> bool:
        if (self.main.folder / "steps.jsonl").exists() or self.kind in ("experiment", "search"):
            return False
        found = {}
        for pattern in ("*/steps.jsonl", "stages/*/steps.jsonl"):
            for path in self.main.folder.glob(pattern):
                try:
                    found[path.parent] = path.parent.joinpath("events.jsonl").stat().st_ctime
                except OSError:
                    found[path.parent] = path.stat().st_mtime if path.exists() else 0.0
        names = [folder.relative_to(self.main.folder).as_posix() for folder in sorted(found, key=found.__getitem__)]
        if names == self.parts:
            return False
        self._parts = {name: self._parts.get(name) or Feed(self.main.folder / name) for name in names}
        return True

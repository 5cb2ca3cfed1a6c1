"""One thread that reads records: twice a second while nothing happens, in short slices while there is much to read."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from trimtab.hud.feed import View
from trimtab.hud.fleet import Fleet

IDLE = 0.5
"""Seconds between two looks at the files."""

SLICE, REST = 0.02, 0.07
"""Seconds of reading, and of rest after it, while there is much to read: less than a quarter of a core."""


class Poller:
    """Reads the fleet and the views that are shown, and calls `on_change` from its thread when something changed.

    The thread is a daemon: it ends with the process, and `stop` ends it before.
    """

    def __init__(self, fleet: Fleet, on_change: Callable[[], None]) -> None:
        self.fleet = fleet
        self._on_change = on_change
        self._views: dict[Path, View] = {}
        self._wanted: tuple[Path, ...] = ()
        self._fleet_shown = True
        self._wake, self._stopped = threading.Event(), False
        self._thread: threading.Thread | None = None

    def view(self, folder: Path) -> View:
        """The view of a folder, which is followed while `watch` names it."""
        if folder not in self._views:
            self._views[folder] = View(folder)
        return self._views[folder]

    def watch(self, folders: list[Path]) -> None:
        """Follow these folders, and no others besides the fleet."""
        self._wanted = tuple(folders)
        kept = list(self._views)[-12:]
        self._views = {path: view for path, view in self._views.items() if path in kept or path in self._wanted}
        self.hurry()

    def watched(self, folder: Path) -> bool:
        """Whether a folder is followed."""
        return folder in self._wanted

    def hurry(self) -> None:
        """Look at once."""
        self._wake.set()

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def poll(self) -> tuple[bool, bool]:
        """Read once. Returns whether something changed, and whether there is more to read."""
        changed = self.fleet.scan()
        more = False
        for folder in self._wanted:
            view = self.view(folder)
            began = time.monotonic()
            changed = view.poll(SLICE) or changed
            more = more or time.monotonic() - began >= SLICE * 0.9
        return changed, more

    def _run(self) -> None:
        while not self._stopped:
            changed, more = self.poll()
            if changed and not self._stopped:
                self._on_change()
            self._wake.wait(REST if more else IDLE)
            self._wake.clear()

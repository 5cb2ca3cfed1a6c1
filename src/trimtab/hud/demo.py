"""A recorded run that ships with Trimtab, written again into a temporary folder at a chosen speed. Nothing is trained.

The recording is JSON lines, compressed: each is a row of a file of records or a whole file, with the second of the run in which
it was written.
"""

import gzip
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from trimtab.records.jsonl import encode_row
from trimtab.records.lock import RunLock
from trimtab.records.tail import parsed

RECORDING = Path(__file__).with_name("demo.jsonl.gz")

_NAME = "routes"
_WHOLE = ("manifest.json", "summary.json")
_ROWS = ("steps.jsonl", "events.jsonl", "evaluations.jsonl", "predictions.jsonl")


def pack(folder: Path, parts: tuple[str, ...] = ("think", "layer")) -> bytes:
    """The recording of a thinking run: its records in the order of their times, without what names the machine.

    Numbers are rounded to seven digits, so that the recording is small; the hashes in the summaries no longer fit the rows.
    """
    began = _time(json.loads((folder / "manifest.json").read_bytes())["created_at"])
    entries: list[tuple[float, dict[str, Any]]] = []
    end = 0.0
    for part in (*parts, ""):
        place = folder / part
        manifest = json.loads((place / "manifest.json").read_bytes())
        start = _time(manifest["created_at"]) - began
        manifest |= {"command": ["trimtab", "train", "configs/thinking.yaml"], "environment": {}, "git_commit": None}
        if manifest["parent"] is not None:
            manifest["parent"]["path"] = ""
        entries.append((start, {"file": f"{part}/manifest.json", "whole": manifest}))
        at_step: dict[int, float] = {}
        for name in _ROWS:
            path = place / name
            for row in parsed(path.read_bytes())[0] if path.exists() else []:
                if name == "steps.jsonl":
                    at_step[row["step"]] = max(at_step.values(), default=start) + row["seconds"]
                at = at_step.get(row.get("step", -1), max(at_step.values(), default=start))
                at = _time(row["time"]) - began if "time" in row else at
                end = max(end, at)
                entries.append((at, {"file": f"{part}/{name}", "row": _rounded(row)}))
        if (place / "summary.json").exists():
            summary = json.loads((place / "summary.json").read_bytes())
            entries.append((end, {"file": f"{part}/summary.json", "whole": summary}))
    entries.sort(key=lambda one: one[0])
    lines = [json.dumps({"at": round(at, 2), **entry}, separators=(",", ":")) for at, entry in entries]
    text = "\n".join(lines).replace(str(folder), f"runs/{_NAME}")
    return gzip.compress(text.encode(), 9, mtime=0)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def recording(path: Path = RECORDING) -> list[dict[str, Any]]:
    """The entries of a recording, in order."""
    return parsed(gzip.decompress(path.read_bytes()) + b"\n")[0]


@contextmanager
def replayed(speed: float, path: Path = RECORDING) -> Iterator[tuple[Path, Path]]:
    """Replay a recording in a temporary folder; gives the folder of the runs and that of the run.

    The run counts as running until its last entry is written. The folder is removed after the block.
    """
    with tempfile.TemporaryDirectory(prefix="trimtab-demo-") as name:
        runs = Path(name)
        run = runs / _NAME
        replay = Replay(recording(path), run, speed)
        replay.write_until(0.0)
        thread = threading.Thread(target=replay.run, daemon=True, name="replay")
        thread.start()
        try:
            yield runs, run
        finally:
            replay.stopped.set()
            thread.join()


class Replay:
    """Writes the entries of a recording into a folder, each at its time divided by `speed`."""

    def __init__(self, entries: list[dict[str, Any]], folder: Path, speed: float) -> None:
        self.folder, self.speed = folder, speed
        self.stopped = threading.Event()
        self._entries, self._next = entries, 0
        self._locks: dict[Path, RunLock] = {}

    def run(self) -> None:
        """Write everything at its time, until the end or `stopped`."""
        began = time.monotonic()
        try:
            while self._next < len(self._entries) and not self.stopped.is_set():
                self.write_until((time.monotonic() - began) * self.speed)
                self.stopped.wait(0.1)
        finally:
            self.release()

    def release(self) -> None:
        """Release the locks: the run no longer counts as running."""
        for lock in self._locks.values():
            lock.release()

    def write_until(self, second: float) -> None:
        """Write the entries up to a second of the recorded run."""
        while self._next < len(self._entries) and self._entries[self._next]["at"] <= second:
            entry = self._entries[self._next]
            self._next += 1
            path = self.folder / str(entry["file"]).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent not in self._locks and path.name not in _WHOLE[1:]:
                self._locks[path.parent] = RunLock(path.parent / ".lock")
            if "row" in entry:
                with path.open("ab") as file:
                    file.write(encode_row(entry["row"]))
            else:
                path.write_text(json.dumps(entry["whole"]), encoding="utf-8")
            if path.name == "summary.json" and path.parent in self._locks:
                self._locks[path.parent].release()

"""The state of runs as lines: for screen readers, for pipes, and for terminals that are too small."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trimtab.boundary import counted
from trimtab.hud.fleet import Entry, Fleet
from trimtab.hud.look import Look
from trimtab.hud.words import count, duration, line

MARKS = {"running": "running", "completed": "done"}


def entry_line(entry: Entry, look: Look | None = None) -> str:
    """A run in one line of words; with a look, its state's character comes first."""
    glyph = "" if look is None else f"{look.state(entry.status)[0]} "
    parts = [f"{glyph}{line(entry.name, 60)}", entry.kind, entry.status]
    if entry.total:
        parts.append(f"{entry.done} of {entry.total}")
    if entry.figure:
        parts.append(entry.figure)
    if entry.status == "running":
        if entry.speed:
            parts.append(f"{count(entry.speed)} tokens/s")
        if entry.left is not None:
            parts.append(f"{duration(entry.left)} left")
    if entry.problem:
        parts.append(line(entry.problem, 200))
    return ", ".join(parts)


def summary_lines(entries: Sequence[Entry], look: Look | None = None) -> list[str]:
    """All runs, one line each, after a line that counts them."""
    running = sum(entry.status == "running" for entry in entries)
    return [f"{counted(len(entries), 'run')}, {running} running", *(entry_line(entry, look) for entry in entries)]


def print_state(folder: Path, say: Callable[[str], None], *, follow: bool = False, every: float = 2.0) -> None:
    """Print every run in a folder; with `follow` also each later change, until it is interrupted or nothing runs."""
    fleet = Fleet(folder)
    fleet.scan()
    for text in summary_lines(fleet.entries):
        say(text)
    said = {entry.folder: entry_line(entry) for entry in fleet.entries}
    while follow and any(entry.status == "running" for entry in fleet.entries):
        time.sleep(every)
        if fleet.scan():
            for entry in fleet.entries:
                if said.get(entry.folder) != (text := entry_line(entry)):
                    said[entry.folder] = text
                    say(text)

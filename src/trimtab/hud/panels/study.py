"""What the study screen shows of a kind of run; the files of this package say it, each for its kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from trimtab.hud.feed import View
from trimtab.hud.panels.panel import Canvas, panel_modules


@dataclass(frozen=True)
class Part:
    """A line of a study: its states as characters, words, and the folder of its run, if it has one."""

    label: str
    states: Sequence[str]
    words: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class Study:
    """The parts of a study, and what it found so far."""

    question: str
    lines: Sequence[Part]
    found: Callable[[View, Canvas], Text]


def study_of(view: View) -> Study | None:
    """The study in a view's folder; None for a kind of run that is none.

    A file of panels may define `STUDIES`, from the name of a kind to a function of a view that makes its study.
    """
    for module in panel_modules():
        make = getattr(module, "STUDIES", {}).get(view.kind)
        if make is not None:
            return make(view)  # type: ignore[no-any-return]
    return None

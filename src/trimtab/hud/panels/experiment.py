"""Experiments: arms by seeds, verdicts, and e-values only where the design is sequential."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from trimtab.errors import TrimtabError
from trimtab.hud.feed import View
from trimtab.hud.panels.panel import Canvas, Panel
from trimtab.hud.panels.study import Part, Study
from trimtab.hud.words import line, number
from trimtab.records.experiment_files import PROGRESS, SPEC, VERDICTS
from trimtab.records.experiment_spec import ExperimentSpec, read_spec
from trimtab.records.lock import is_held
from trimtab.records.places import place

KINDS = frozenset({"experiment"})
_ENDED = {"completed", "diverged", "stopped", "failed", "interrupted"}


def _spec(view: View) -> ExperimentSpec | None:
    try:
        return read_spec(view.main.folder / SPEC)
    except TrimtabError:
        return None


def _progress(view: View) -> Mapping[str, Any]:
    content = view.main.document(PROGRESS)
    return content if isinstance(content, dict) else {}


def state_of(folder: Path, recorded: Mapping[str, Any] | None) -> str:
    """The state of an episode: that of the experiment's progress, or of the folder's lock while it runs."""
    if recorded is not None and recorded.get("status") in _ENDED:
        return str(recorded["status"])
    if is_held(folder / ".lock"):
        return "running"
    return "interrupted" if (folder / "manifest.json").exists() else "waiting"


def study(view: View) -> Study:
    """Arms by seeds; with factors, a line for each of their values."""
    view.main.document(VERDICTS)
    spec, progress = _spec(view), _progress(view)
    episodes = progress.get("episodes", {})
    if spec is None:
        parts = [
            Part(name, [str(one.get("status", ""))], "", view.main.folder / "episodes" / name)
            for name, one in episodes.items()
        ]
        return Study(str(progress.get("question", "")), parts, found)
    parts = []
    for arm in spec.arms:
        for cell in spec.cells:
            names = [place("episodes", arm, seed, cell) for seed in spec.seed_list]
            states = [
                state_of(view.main.folder / name, episodes.get(name, episodes.get(name.removeprefix("episodes/"))))
                for name in names
            ]
            label = arm + "".join(f" {key.rpartition('.')[2]}={value}" for key, value in cell.items())
            current = next((i for i, state in enumerate(states) if state == "running"), len(states) - 1)
            done = sum(state == "completed" for state in states)
            parts.append(Part(label, states, f"{done}/{len(states)}", view.main.folder / names[current]))
    return Study(spec.question, parts, found)


def found(view: View, canvas: Canvas) -> Text:
    """The claim, the counts of states, and the verdicts; e-values only for a sequential design."""
    spec, progress, palette = _spec(view), _progress(view), canvas.look.palette
    lines: list[Text | str] = []
    sequential = spec is not None and spec.sequential
    if spec is not None:
        claim = spec.claim
        lines.append(canvas.pair("claim", f"{claim.metric}, margin {number(claim.margin)}"))
        bought = _pairs(spec, progress)
        limit = spec.budget.pairs if sequential and spec.budget.pairs else len(spec.seed_list)
        lines.append(canvas.pair("pairs bought", f"{bought} of {limit}"))
    states = Counter(one.get("status") for one in progress.get("episodes", {}).values() if isinstance(one, dict))
    lines += [canvas.pair(str(name), str(times)) for name, times in sorted(states.items(), key=str)]
    verdicts = view.main.document(VERDICTS)
    if not verdicts:
        words = "No verdict yet." if sequential else "No verdict yet: it is made at the end, from all pairs."
        lines.append(Text(words, style=palette.dim))
    for one in verdicts if isinstance(verdicts, list) else []:
        lines += _verdict(one, canvas, sequential=sequential)
    for event in progress.get("events", [])[-3:]:
        lines.append(Text(line(f"{event.get('episode')}: {event.get('error')}", 300), style=palette.bad))
    return canvas.lines(lines)


def _pairs(spec: ExperimentSpec, progress: Mapping[str, Any]) -> int:
    """Seeds whose run has ended in every arm, with every factor."""
    episodes = progress.get("episodes", {})
    ended = {name.removeprefix("episodes/") for name, one in episodes.items() if one.get("status") in _ENDED}
    return sum(
        all(
            place("episodes", arm, seed, cell).removeprefix("episodes/") in ended
            for arm in spec.arms
            for cell in spec.cells
        )
        for seed in spec.seed_list
    )


def _verdict(one: Mapping[str, Any], canvas: Canvas, *, sequential: bool) -> list[Text | str]:
    palette = canvas.look.palette
    colour = {"superior": palette.good, "inferior": palette.bad, "equivalent": palette.accent}.get(
        one.get("verdict", "")
    )
    head = Text(f"{line(one.get('metric', ''), 30)}: ", style=palette.text, end="")
    head.append(f"{one.get('treatment')} {one.get('verdict')}", colour or palette.warning)
    interval: Sequence[Any] = one.get("confidence_interval", ["", ""])
    figures = f"  {number(one.get('mean_difference'))} [{number(interval[0])}, {number(interval[1])}]  n {one.get('n')}"
    evidence = f"  e {number(one.get('e_value'))}" if sequential else ""
    return [head, Text(figures + evidence, style=palette.dim)]


PANELS = (Panel("verdicts", "SO FAR", found, place="main", kinds=KINDS, documents=(PROGRESS, VERDICTS)),)

STUDIES = {"experiment": study}

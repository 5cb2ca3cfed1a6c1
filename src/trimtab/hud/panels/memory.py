"""Memory runs: their stages, the pairs that are solved, and the candidates in flight."""

from collections import Counter
from typing import Any

from rich.text import Text

from trimtab.hud.chart import Options, curve_of
from trimtab.hud.feed import View
from trimtab.hud.panels.panel import Canvas, Panel
from trimtab.hud.panels.study import Part, Study
from trimtab.hud.words import line, number
from trimtab.records.tail import glimpse

KINDS = frozenset({"memory"})
CANDIDATES, GATES = "candidates.jsonl", "gates.json"


def _stages(view: View) -> list[str]:
    stages = view.main.setting("stages", [])
    return [str(stage) for stage in stages] if isinstance(stages, list) else []


def _solved(rows: Any) -> tuple[int, int]:
    """How many pairs have a solved candidate, and how many pairs there are."""
    pairs = {row.get("pair") for row in rows}
    return len({row.get("pair") for row in rows if row.get("status") == "solved"}), len(pairs)


def _in_flight(view: View, canvas: Canvas) -> Text:
    table = view.stage.table("steps.jsonl")
    return canvas.chart([curve_of(table, "in_flight", "in flight", canvas.look.curve(0), Options())], floor=0.0)


def _candidates(view: View, canvas: Canvas) -> Text:
    rows = view.stage.rows_of(CANDIDATES)
    if not rows:
        return Text("no candidate has ended yet", style=canvas.look.palette.dim)
    solved, pairs = _solved(rows)
    counts = Counter(row.get("status") for row in rows)
    steps = sorted(row["steps"] for row in rows if row.get("status") == "solved" and isinstance(row.get("steps"), int))
    lines: list[Text | str] = [canvas.pair("pairs solved", f"{solved} of {pairs}")]
    lines += [canvas.pair(f"candidates {name}", str(count)) for name, count in sorted(counts.items(), key=str)]
    if steps:
        lines.append(canvas.pair("steps to solve, median", number(steps[len(steps) // 2])))
    return (
        canvas.lines(lines)
        .append("\n")
        .append_text(
            Canvas(canvas.width, max(1, canvas.height - len(lines)), canvas.look).bars(
                [("solved", solved / max(1, pairs), f"{solved / max(1, pairs):.0%}")], colour=canvas.look.palette.good
            )
        )
    )


def _gates(view: View, canvas: Canvas) -> Text:
    gates = view.main.document(GATES)
    if not isinstance(gates, list) or not gates:
        return Text("no gate was tested yet", style=canvas.look.palette.dim)
    lines = []
    for gate in gates:
        glyph, colour = canvas.look.state("completed" if gate.get("passed") else "failed")
        text = Text(f"{glyph} ", style=colour, end="")
        lines.append(text.append(f"{gate.get('gate')}: {number(gate.get('share'))} ", canvas.look.palette.text))
    return canvas.lines(lines)


def study(view: View) -> Study:
    """The stages in order."""
    view.main.document(GATES)
    parts = []
    names = _stages(view)
    present = [(view.main.folder / "stages" / name).is_dir() for name in names]
    ended = view.main.summary is not None
    for index, name in enumerate(names):
        folder = view.main.folder / "stages" / name
        later = any(present[index + 1 :]) or ended
        state = (
            "completed"
            if later
            else ("running" if view.main.running else "interrupted")
            if present[index]
            else "waiting"
        )
        solved, pairs = _solved(glimpse(folder / CANDIDATES, 1, 1 << 20)) if present[index] else (0, 0)
        parts.append(Part(name, [state], f"{solved}/{pairs} pairs solved" if pairs else ""))
    return Study(line(view.main.setting("question", ""), 300), parts, _found)


def _found(view: View, canvas: Canvas) -> Text:
    text = Text(end="")
    half = max(4, canvas.height // 2 - 2)
    for title, draw in (("candidates", _candidates), ("gates", _gates)):
        text.append(f"{title}\n", canvas.look.palette.accent)
        text.append_text(draw(view, Canvas(canvas.width, half, canvas.look, canvas.options))).append("\n")
    return text


PANELS = (
    Panel("in-flight", "IN FLIGHT", _in_flight, place="main", kinds=KINDS),
    Panel("candidates", "CANDIDATES", _candidates, place="side", kinds=KINDS, rows=(CANDIDATES,)),
    Panel("gates", "GATES", _gates, kinds=KINDS, documents=(GATES,)),
)

STUDIES = {"memory": study}

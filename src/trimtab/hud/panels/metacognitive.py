"""Panels of models that decide how long they think: shares of blocks, plans, budgets, confidence and the gate."""

import math
from collections import Counter
from typing import Any

from rich.text import Text

from trimtab.boundary import printable
from trimtab.hud.chart import Curve, curve_of
from trimtab.hud.feed import View
from trimtab.hud.panels.panel import Canvas, Panel, columns
from trimtab.hud.panels.training import EVALUATIONS, evaluation_lines
from trimtab.hud.raster import sparkline
from trimtab.hud.words import line, number
from trimtab.records.values import is_number

PREDICTIONS = "predictions.jsonl"
_AUX = "aux.model."


def _is_metacognitive(view: View) -> bool:
    return view.kind == "thinking" or f"{_AUX}alpha_min" in view.stage.steps


def _alpha(view: View, canvas: Canvas) -> Text:
    """The smallest, mean and largest share of a block; their entropy in the last line."""
    table, look, options = view.stage.steps, canvas.look, canvas.options
    blocks = len(columns(table, f"{_AUX}layer.*.budget"))
    curves = [
        curve_of(table, f"{_AUX}alpha_max", "max", look.curve(1), options),
        curve_of(table, f"{_AUX}alpha_min", "min", look.curve(0), options),
    ]
    if blocks:
        places = curves[0].places
        mean = [1 / blocks] * len(places)
        curves.insert(1, Curve("mean", places, mean, mean, look.palette.dim, dashed=True))
    entropy = table.last(f"{_AUX}alpha_entropy")
    most = f" of {math.log(blocks):.3f}" if blocks > 1 else ""
    said = canvas.pair("entropy", f"{number(entropy)}{most} ")
    said.append(
        sparkline(_course(table, f"{_AUX}alpha_entropy"), canvas.width - len(said.plain), look.glyphs), look.curve(3)
    )
    return canvas.chart(curves, height=canvas.height - 1).append("\n").append_text(said)


def _course(table: Any, key: str) -> list[float]:
    low, high = table.spans(key)
    return [(one + other) / 2 if one <= other else math.nan for one, other in zip(low, high, strict=True)]


def _plan(view: View, canvas: Canvas) -> Text:
    """How often each plan was the likeliest, and how many blocks agree with it."""
    rows = view.stage.rows_of(PREDICTIONS)
    table, look = view.stage.steps, canvas.look
    agreement = table.last(f"{_AUX}plan_agreement")
    said = canvas.pair("blocks that agree", f"{number(agreement)} ")
    room = canvas.width - len(said.plain)
    said.append(sparkline(_course(table, f"{_AUX}plan_agreement"), room, look.glyphs), look.curve(2))
    lines: list[Text | str] = [said]
    lines += [
        canvas.pair(f"block {key.split('.')[3]}", number(table.last(key)))
        for key in columns(table, f"{_AUX}layer.*.plan_agreement")
    ]
    plans = [row["plan"] for row in rows if isinstance(row.get("plan"), list) and row["plan"]]
    if not plans:
        lines.append(canvas.missing("plans"))
        return canvas.lines(lines)
    chosen = Counter(max(range(len(plan)), key=plan.__getitem__) for plan in plans)
    mean = [sum(plan[i] for plan in plans) / len(plans) for i in range(len(plans[0]))]
    bars = [
        (f"plan {i}", share, f"{share:.2f}, likeliest {chosen[i] / len(plans):.0%}")
        for i, share in enumerate(mean[:12])
    ]
    return canvas.lines(lines).append("\n").append_text(canvas.bars(bars, colour=look.curve(3)))


def _budget(view: View, canvas: Canvas) -> Text:
    """The use that was predicted against the one that came, one dot for each problem of the last evaluation."""
    rows = view.stage.rows_of(PREDICTIONS)
    points = [
        (float(row["predicted_use"]), float(row["think_tokens_used"]))
        for row in rows
        if is_number(row.get("predicted_use")) and is_number(row.get("think_tokens_used"))
    ]
    if not points:
        return canvas.missing("predicted and used budgets")
    error = sum((x - y) ** 2 for x, y in points) / len(points)
    said, used = (sum(point[i] for point in points) / len(points) for i in (0, 1))
    cut = sum(1 for row in rows if row.get("forced")) / len(rows)
    most = max(max(point) for point in points)
    head = canvas.pair("predicted", f"{said:.1f}")
    head.append("  used ", canvas.look.palette.dim).append(f"{used:.1f}", canvas.look.palette.text)
    head.append("  MSE ", canvas.look.palette.dim).append(number(error), canvas.look.palette.text)
    head.append(f"  cut {cut:.0%}", canvas.look.palette.dim)
    head.truncate(canvas.width)
    foot = Text(f"0 predicted {number(most)}; up: used; dotted: equal", style=canvas.look.palette.dim, end="")
    foot.truncate(canvas.width)
    plot = canvas.scatter(points, max(1, canvas.height - 2), diagonal=True, colour=canvas.look.curve(0))
    return head.append("\n").append_text(plot).append("\n").append_text(foot)


def _confidence(view: View, canvas: Canvas) -> Text:
    """How often each confidence was stated, and how often it was right."""
    rows = view.stage.rows_of(PREDICTIONS)
    stated = [
        (float(value), bool(row.get("correct")))
        for row in rows
        if is_number(value := row.get("cap_confidence", row.get("confidence"))) and value is not None
    ]
    if not stated:
        return canvas.missing("confidence")
    bins = 10 if canvas.height >= 10 else 5
    counts = [[0, 0] for _ in range(bins)]
    for value, right in stated:
        place = min(bins - 1, max(0, int(value * bins)))
        counts[place][0] += 1
        counts[place][1] += right
    mean = sum(value for value, _ in stated) / len(stated)
    accuracy = sum(right for _, right in stated) / len(stated)
    most = max(one[0] for one in counts)
    bars = [
        (
            f"{place / bins:.1f}–{(place + 1) / bins:.1f}",
            total / most,
            f"{total:>3}, right {right / total:.0%}" if total else "  0",
        )
        for place, (total, right) in reversed(list(enumerate(counts)))
    ]
    head = canvas.pair("stated", f"{mean:.2f}  right {accuracy:.2f}")
    room = Canvas(canvas.width, canvas.height - 1, canvas.look, canvas.options)
    return head.append("\n").append_text(room.bars(bars, colour=canvas.look.curve(1)))


def _gate(view: View, canvas: Canvas) -> Text:
    """The size and reach of the gate, and a map of the use that each block expects: blocks up, steps across."""
    table, look = view.stage.steps, canvas.look
    lines: list[Text | str] = []
    for label, key in (("gate norm", "gate_norm"), ("reach", "gate_coverage")):
        said = canvas.pair(label, f"{number(table.last(_AUX + key))} ")
        course = sparkline(_course(table, _AUX + key), canvas.width - len(said.plain), look.glyphs)
        lines.append(said.append(course, look.curve(4)))
    keys = columns(table, f"{_AUX}layer.*.budget")
    if not keys:
        return canvas.lines(lines)
    values = {key: _course(table, key) for key in keys}
    most = max((value for one in values.values() for value in one if math.isfinite(value)), default=1.0) or 1.0
    lines.append(Text(f"use expected by each block, 0 to {number(most)}", style=look.palette.dim))
    shares = [(f"block {key.split('.')[3]}", [value / most for value in values[key]]) for key in reversed(keys)]
    room = Canvas(canvas.width, max(1, canvas.height - len(lines)), look, canvas.options)
    return canvas.lines(lines).append("\n").append_text(room.heat(shares, colour=look.curve(2)))


def _thoughts(view: View, canvas: Canvas) -> Text:
    """Tokens of thoughts in a training batch; those of plan, execution and evaluation where a run records them."""
    table = view.stage.steps
    parts = [(name, key) for name in ("plan", "exec", "eval") for key in columns(table, f"*{name}_tokens*")]
    curves = [curve_of(table, key, name, canvas.look.curve(i), canvas.options) for i, (name, key) in enumerate(parts)]
    curves.append(curve_of(table, f"{_AUX}think_tokens_used", "thought", canvas.look.curve(5), canvas.options))
    total = sum(table.last(key) or 0.0 for _, key in parts)
    shares = "  ".join(f"{name} {(table.last(key) or 0) / total:.0%}" for name, key in parts) if total else ""
    foot = canvas.pair("shares", shares) if shares else canvas.missing("plan, exec and eval tokens")
    foot.truncate(canvas.width)
    return canvas.chart(curves, height=canvas.height - 1, floor=0.0).append("\n").append_text(foot)


def _puzzles(view: View, canvas: Canvas) -> Text:
    """The accuracy on problems, and answers with their thoughts."""
    rows, predictions = view.stage.rows_of(EVALUATIONS), view.stage.rows_of(PREDICTIONS)
    if not rows:
        return Text("no evaluation yet", style=canvas.look.palette.dim)
    lines = evaluation_lines(rows, canvas)[:2]
    palette = canvas.look.palette
    for row in predictions[-(canvas.height // 2 + 1) :]:
        right = bool(row.get("correct"))
        mark, colour = canvas.look.state("completed" if right else "diverged")
        text = Text(f"{mark} ", style=colour, end="")
        text.append(line(row.get("prompt", ""), 60), palette.text).append(" ")
        text.append(printable(f"{row.get('thought', '')} "), palette.dim)
        lines.append(
            text.append(f"{printable(str(row.get('response')))} for {printable(str(row.get('answer')))}", colour)
        )
    return canvas.lines(lines)


def _panel(name: str, title: str, draw: Any, *, needs: tuple[str, ...] = ()) -> Panel:
    return Panel(name, title, draw, applies=_is_metacognitive, needs=needs, rows=(PREDICTIONS, EVALUATIONS))


PANELS = (
    _panel("alpha", "SHARES OF THE BLOCKS", _alpha, needs=(f"{_AUX}alpha_min",)),
    _panel("plan", "PLAN · AGREEMENT", _plan, needs=(f"{_AUX}plan_agreement",)),
    _panel("budget", "BUDGET: PREDICTED AND USED", _budget),
    _panel("confidence", "CONFIDENCE", _confidence),
    _panel("gate", "GATE · BLOCKS OVER TIME", _gate, needs=(f"{_AUX}gate_norm",)),
    _panel("puzzles", "PUZZLES", _puzzles),
    _panel("thoughts", "THOUGHTS", _thoughts, needs=(f"{_AUX}think_tokens_used",)),
)

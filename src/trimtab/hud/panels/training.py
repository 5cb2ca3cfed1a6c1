"""Panels of runs that are made of training steps."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from trimtab.boundary import printable
from trimtab.hud.chart import Curve, Mark, curve_of
from trimtab.hud.feed import Feed, View
from trimtab.hud.look import Look
from trimtab.hud.panels.panel import Canvas, Panel, columns
from trimtab.hud.raster import sparkline
from trimtab.hud.table import Table
from trimtab.hud.words import count, duration, line, number

EVALUATIONS = "evaluations.jsonl"
_SERIOUS = {"skip", "rewind", "stop", "diverged", "fault"}


def marks(feed: Feed, look: Look, axis: str) -> list[Mark]:
    """The events of a run on its axis: skips and rewinds in red, checkpoints dim, others in yellow."""
    if axis != "step":
        return []
    glyph = "^" if look.ascii else "▲"
    made = []
    for row in feed.rows_of("events.jsonl")[-400:]:
        step, kind = row.get("step"), row.get("kind")
        if isinstance(step, int) and step > 0:
            palette = look.palette
            colour = palette.bad if kind in _SERIOUS else palette.dim if kind == "checkpoint" else palette.warning
            made.append(Mark(float(step), glyph, colour))
    return made


def _loss(view: View, canvas: Canvas) -> Text:
    feed, look, options = view.stage, canvas.look, canvas.options
    curves = [curve_of(feed.steps, "train_loss", "train", look.curve(0), options)]
    if "loss_ema" in feed.steps and not options.smoothing:
        curves.append(curve_of(feed.steps, "loss_ema", "mean", look.curve(2), options, dashed=True))
    evaluations = feed.table(EVALUATIONS)
    if "val_loss" in evaluations and options.axis in evaluations:
        plain = options.__class__(axis=options.axis)
        curves.append(curve_of(evaluations, "val_loss", "val", look.curve(1), plain))
    return canvas.chart(curves, marks(feed, look, options.axis))


def _small(key: str, label: str, colour: int, *, floor: float | None = None) -> Any:
    def draw(view: View, canvas: Canvas) -> Text:
        return canvas.chart(
            [curve_of(view.stage.steps, key, label, canvas.look.curve(colour), canvas.options)], floor=floor
        )

    return draw


def _vitals(view: View, canvas: Canvas) -> Text:
    """Rate, gradient norm, memory and speed: a line of text and a line of course for each."""
    table = view.stage.steps
    rows: list[Text | str] = []
    wide = canvas.width
    entries: list[tuple[str, str, list[float]]] = [
        (label, number(table.last(key)), _middles(table, key))
        for label, key in (("rate", "lr"), ("gradient norm", "grad_norm"), ("memory MB", "rss_mb"))
        if key in table
    ]
    speeds = _speeds(table)
    if speeds:
        entries.append(("tokens/s", count(speeds[-1]), speeds))
    tall = canvas.height >= 2 * len(entries)
    for index, (label, value, values) in enumerate(entries):
        head = canvas.pair(label, value)
        room = wide if tall else max(4, wide - len(head.plain) - 1)
        course = Text(sparkline(values, room, canvas.look.glyphs), style=canvas.look.curve(index), end="")
        rows += [head, course] if tall else [head.append(" ").append_text(course)]
    if view.stage.damaged_lines:
        rows.append(Text(f"{view.stage.damaged_lines} damaged lines", style=canvas.look.palette.bad))
    return canvas.lines(rows)


def _middles(table: Table, key: str) -> list[float]:
    low, high = table.spans(key)
    return [(one + other) / 2 if one <= other else float("nan") for one, other in zip(low, high, strict=True)]


def _speeds(table: Table) -> list[float]:
    """Tokens per second between neighbouring places."""
    tokens, elapsed = table.places("tokens"), table.places("elapsed")
    if "tokens" not in table or "elapsed" not in table or len(tokens) != len(elapsed):
        return []
    stride = max(1, len(tokens) // 100)
    pairs = list(zip(tokens[::stride], elapsed[::stride], strict=True))
    return [
        (after[0] - before[0]) / (after[1] - before[1])
        for before, after in zip(pairs, pairs[1:], strict=False)
        if after[1] > before[1]
    ]


def _entropy_reward(view: View, canvas: Canvas) -> Text:
    """Whatever the run records as an entropy or a reward, of steps or evaluations."""
    curves: list[Curve] = []
    for table in (view.stage.steps, view.stage.table(EVALUATIONS)):
        for pattern in ("*entropy*", "*reward*", "*.kl", "kl"):
            for key in columns(table, pattern):
                if "alpha" not in key and len(curves) < 4 and canvas.options.axis in table:
                    label = key.removeprefix("aux.").removeprefix("model.")
                    curves.append(curve_of(table, key, label, canvas.look.curve(len(curves)), canvas.options))
    return canvas.chart(curves) if curves else canvas.missing("entropy and reward")


def _events(view: View, canvas: Canvas) -> Text:
    rows = list(view.stage.rows_of("events.jsonl"))
    if view.stage is not view.main:
        rows = list(view.main.rows_of("events.jsonl")) + rows
    shown = [row for row in rows if row.get("kind") != "checkpoint"][-canvas.height :]
    if not shown:
        return Text("no events yet", style=canvas.look.palette.dim)
    palette = canvas.look.palette
    lines = []
    for row in reversed(shown):
        step = row.get("step")
        text = Text(f"{step if step is not None else '':>6} ", style=palette.dim, end="")
        kind = line(row.get("kind", ""), 14)
        text.append(f"{kind} ", palette.bad if row.get("kind") in _SERIOUS else palette.warning)
        lines.append(text.append(line(row.get("reason", ""), canvas.width * 2), palette.text))
    return canvas.lines(lines)


def evaluation_lines(rows: Sequence[dict[str, Any]], canvas: Canvas) -> list[Text | str]:
    """The last evaluation: losses, the accuracy on problems, and a sample."""
    last = rows[-1]
    lines: list[Text | str] = [canvas.pair("step", number(last.get("step")))]
    figures = [f"{key.removeprefix('val_')} {number(last[key])}" for key in ("val_loss", "val_accuracy") if key in last]
    lines[0] = canvas.pair(f"step {number(last.get('step'))}", "  ".join(figures))
    task = last.get("task_eval")
    if isinstance(task, dict):
        course = [
            row["task_eval"].get("exact_match", float("nan")) for row in rows if isinstance(row.get("task_eval"), dict)
        ]
        text = canvas.pair("puzzles right", f"{number(task.get('exact_match'))} of {number(task.get('problems'))} ")
        lines.append(text.append(sparkline(course, 16, canvas.look.glyphs), canvas.look.curve(2)))
    sample = last.get("sample")
    if isinstance(sample, dict):
        words = printable(f"{sample.get('prompt', '')}{sample.get('text', '')}", lines=True)
        lines += [Text(f"  {one}", style=canvas.look.palette.dim) for one in words.split("\n")]
    return lines


def _evaluations(view: View, canvas: Canvas) -> Text:
    rows = view.stage.rows_of(EVALUATIONS)
    if not rows:
        return Text("no evaluation yet", style=canvas.look.palette.dim)
    return canvas.lines(evaluation_lines(rows, canvas))


def _regime(view: View, canvas: Canvas) -> Text:
    table = view.stage.steps
    keys = [key for key in ("update_ratio", "loss_volatility", "grad_norm_z") if key in table]
    curves = [curve_of(table, key, key, canvas.look.curve(i), canvas.options) for i, key in enumerate(keys)]
    return canvas.chart(curves)


def length_line(view: View, canvas: Canvas) -> Text:
    """The longest row that the model reads, the longest that was seen, and whether rows are padded."""
    feed, palette = view.stage, canvas.look.palette
    context = feed.setting("data.context", feed.setting("run.data.context"))
    longest = feed.steps.last("longest")
    padded = feed.setting("data.task") is not None
    lamp = "*" if canvas.look.ascii else "●"
    text = Text("PAD ", style=palette.dim, end="")
    text.append(f"{lamp} {'right' if padded else 'none'}", palette.warning if padded else palette.good)
    text.append(f"  max_len {number(context)}", palette.text)
    return text.append(f"  seen {'not recorded' if longest is None else number(longest)}", palette.dim)


def _tokens(view: View, canvas: Canvas) -> Text:
    """How many tokens trained the model, per step and in all."""
    table = view.stage.steps
    tokens, steps = table.last("tokens"), table.last("step")
    batch = view.stage.setting("episode.batch_size")
    lines: list[Text | str] = [length_line(view, canvas)]
    if tokens is not None and steps:
        lines.append(canvas.pair("trained tokens", f"{count(tokens)}  per step {number(tokens / steps)}"))
    if batch:
        lines.append(canvas.pair("rows per step", number(batch * (view.stage.setting("episode.accumulation") or 1))))
    lines.append(canvas.pair("time", duration(table.last("elapsed"))))
    manifest = view.stage.manifest
    if manifest is not None and manifest.model is not None:
        lines.append(canvas.pair("parameters", f"{manifest.model.parameters:,}, {manifest.model.trained:,} trained"))
    if manifest is not None:
        lines.append(
            canvas.pair("data", line(f"{manifest.data.name}, {number(manifest.data.tokens)} tokens", canvas.width))
        )
    return canvas.lines(lines)


_OTHERS = frozenset({"experiment", "search", "memory"})
"""Kinds whose runs are studies: their own panels show what they do."""


def _trains(view: View) -> bool:
    return view.kind not in _OTHERS


def _is_plain(view: View) -> bool:
    return _trains(view) and "aux.model.alpha_min" not in view.stage.steps and view.kind != "thinking"


PANELS = (
    Panel("loss", "LOSS", _loss, place="main", applies=_trains, needs=("train_loss",), rows=(EVALUATIONS,)),
    Panel(
        "vitals", "RATE · GRADIENT · MEMORY · SPEED", _vitals, place="side", applies=_trains, needs=("lr", "grad_norm")
    ),
    Panel("length", "DATA AND LENGTH", _tokens, place="side", applies=_trains, needs=("tokens",)),
    Panel("entropy", "ENTROPY · REWARD", _entropy_reward, applies=_trains, needs=("step",), rows=(EVALUATIONS,)),
    Panel("evaluation", "EVALUATION", _evaluations, applies=_is_plain, rows=(EVALUATIONS,)),
    Panel(
        "gradient", "GRADIENT NORM", _small("grad_norm", "norm", 4, floor=0.0), applies=_is_plain, needs=("grad_norm",)
    ),
    Panel("regime", "INDICATORS", _regime, applies=_is_plain, needs=("update_ratio", "loss_volatility")),
    Panel("events", "EVENTS", _events),
)

"""Searches: the best value so far, the trials, where they come from, and which settings matter."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from trimtab.config.describe import value_text
from trimtab.hud.chart import Curve, Options
from trimtab.hud.feed import View
from trimtab.hud.panels.panel import Canvas, Panel
from trimtab.hud.panels.study import Part, Study
from trimtab.hud.words import line, number
from trimtab.records.values import is_number

KINDS = frozenset({"search"})
EVENTS = "events.jsonl"


def _rows(view: View, kind: str) -> list[dict[str, Any]]:
    return [row for row in view.main.rows_of(EVENTS) if row.get("kind") == kind]


def _lower_is_better(view: View) -> bool:
    """The direction of the metric: a summary says it; a loss is better when it is lower."""
    figures = {} if view.main.summary is None else view.main.summary.metrics
    known = figures.get("higher_is_better")
    if isinstance(known, bool):
        return not known
    metric = str(view.main.setting("metric", "val_loss"))
    return not any(word in metric for word in ("accuracy", "match", "reward", "gain", "f1"))


def best_so_far(values: Sequence[float], *, lower: bool) -> list[float]:
    """The best of the values up to each of them; nan counts as none."""
    best, result = math.nan, []
    for value in values:
        if math.isfinite(value) and (math.isnan(best) or (value < best if lower else value > best)):
            best = value
        result.append(best)
    return result


def _value(row: Mapping[str, Any]) -> float:
    value = row.get("value")
    return float(value) if value is not None and is_number(value) else math.nan


def _best(view: View, canvas: Canvas) -> Text:
    values = [_value(row) for row in _rows(view, "result")]
    if not values:
        return Text("no result yet", style=canvas.look.palette.dim)
    lower = _lower_is_better(view)
    places = [float(index + 1) for index in range(len(values))]

    def curve(label: str, ys: Sequence[float], colour: str) -> Curve:
        low = [y if math.isfinite(y) else math.inf for y in ys]
        high = [y if math.isfinite(y) else -math.inf for y in ys]
        return Curve(label, places, low, high, colour)

    look = canvas.look
    curves = [curve("best", best_so_far(values, lower=lower), look.curve(0)), curve("result", values, look.palette.dim)]
    options = Options(log=canvas.options.log)
    return Canvas(canvas.width, canvas.height, look, options).chart(curves)


def _trials(view: View, canvas: Canvas) -> Text:
    """The best results and their settings."""
    settings = {row["trial"]: row.get("settings", {}) for row in _rows(view, "trial")}
    results = sorted(
        (row for row in _rows(view, "result") if math.isfinite(_value(row))),
        key=_value,
        reverse=not _lower_is_better(view),
    )
    lines: list[Text | str] = []
    for row in results[: canvas.height]:
        words = "  ".join(f"{key.rpartition('.')[2]} {_short(v)}" for key, v in settings.get(row["trial"], {}).items())
        text = Text(f"{row['trial']:>4} ", style=canvas.look.palette.dim, end="")
        lines.append(
            text.append(f"{number(_value(row)):>8}  ", canvas.look.curve(0)).append(words, canvas.look.palette.text)
        )
    return canvas.lines(lines or [Text("no result yet", style=canvas.look.palette.dim)])


def _short(value: Any) -> str:
    return number(value) if is_number(value) else line(value_text(value), 16)


def importances(settings: Sequence[Mapping[str, Any]], values: Sequence[float]) -> dict[str, float]:
    """For each key, the size of the rank correlation of its numbers with the values; for texts, the share of variance between.

    A first look, not a model: keys that act together are not seen.
    """
    known = [(one, value) for one, value in zip(settings, values, strict=True) if math.isfinite(value)]
    keys = dict.fromkeys(key for one, _ in known for key in one)
    found = {}
    for key in keys:
        pairs = [(one[key], value) for one, value in known if key in one]
        if len(pairs) < 5:
            continue
        if all(is_number(x) for x, _ in pairs):
            found[key] = abs(_correlation(_ranks([x for x, _ in pairs]), _ranks([y for _, y in pairs])))
        else:
            found[key] = _between([str(x) for x, _ in pairs], _ranks([y for _, y in pairs]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    return [(order.index(value) + len(order) - 1 - order[::-1].index(value)) / 2 for value in values]


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    a, b = sum(one) / len(one), sum(other) / len(other)
    top = sum((x - a) * (y - b) for x, y in zip(one, other, strict=True))
    below = math.sqrt(sum((x - a) ** 2 for x in one) * sum((y - b) ** 2 for y in other))
    return top / below if below else 0.0


def _between(groups: Sequence[str], ranks: Sequence[float]) -> float:
    mean = sum(ranks) / len(ranks)
    total = sum((rank - mean) ** 2 for rank in ranks)
    by_group: dict[str, list[float]] = {}
    for group, rank in zip(groups, ranks, strict=True):
        by_group.setdefault(group, []).append(rank)
    between = sum(len(one) * (sum(one) / len(one) - mean) ** 2 for one in by_group.values())
    return math.sqrt(between / total) if total else 0.0


def _importances(view: View, canvas: Canvas) -> Text:
    settings = {row["trial"]: row.get("settings", {}) for row in _rows(view, "trial")}
    results = _rows(view, "result")
    found = importances([settings.get(row["trial"], {}) for row in results], [_value(row) for row in results])
    if not found:
        return Text("five results are needed", style=canvas.look.palette.dim)
    return canvas.bars([(key.rpartition(".")[2], share, f"{share:.2f}") for key, share in found.items()])


def study(view: View) -> Study:
    """The trials in order: their state, their parent, their value."""
    results = {row.get("work"): row for row in _rows(view, "result")}
    parts = []
    for row in _rows(view, "trial"):
        result = results.get(row.get("work"))
        if result is not None:
            state = str(result.get("status", "completed"))
        else:
            state = "running" if view.main.running else "interrupted"
        parent = f"from {row['parent']} at {row.get('start')}  " if row.get("parent") is not None else ""
        value = "" if result is None else number(_value(result))
        settings = "  ".join(f"{key.rpartition('.')[2]} {_short(v)}" for key, v in row.get("settings", {}).items())
        folder = view.main.folder / "trials" / f"{int(row.get('trial', 0)):04d}" / f"seed-{row.get('seed')}"
        parts.append(
            Part(f"trial {row.get('trial')} seed {row.get('seed')}", [state], f"{value:>8} {parent}{settings}", folder)
        )
    parts += [
        Part(f"confirmation seed {row.get('seed')}", [str(row.get("status"))], number(_value(row)), None)
        for row in _rows(view, "confirmation")
    ]
    question = f"{view.main.setting('optimizer.name', '')} for {view.main.setting('metric', '')}"
    return Study(question, parts[::-1], _found)


def _found(view: View, canvas: Canvas) -> Text:
    third = max(4, canvas.height // 3)
    parts = (
        ("best so far", _best, canvas.height - 2 * third - 3),
        ("best trials", _trials, third),
        ("importances (rank correlation)", _importances, third),
    )
    text = Text(end="")
    for index, (title, draw, height) in enumerate(parts):
        text.append("\n" if index else "").append(f"{title}\n", canvas.look.palette.accent)
        text.append_text(draw(view, Canvas(canvas.width, max(3, height), canvas.look, canvas.options)))
    return text


PANELS = (
    Panel("best", "BEST SO FAR", _best, place="main", kinds=KINDS, rows=(EVENTS,)),
    Panel("trials", "TRIALS", _trials, kinds=KINDS, rows=(EVENTS,)),
    Panel("importances", "IMPORTANCES", _importances, kinds=KINDS, rows=(EVENTS,)),
)

STUDIES = {"search": study}

"""One thing varied at a time: numbers of vectors, learning rates, other wordings on and off, the model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from trimtab.config.schema import Component
from trimtab.memory.protocol import stages
from trimtab.memory.protocol.baselines import baseline_rows, bounds_of
from trimtab.memory.protocol.parts import under_model
from trimtab.memory.protocol.run_records import share_of
from trimtab.memory.protocol.solving import Bounds
from trimtab.memory.protocol.stages import Bench
from trimtab.records import read_rows
from trimtab.records.memory_rows import CandidateRow

THRESHOLDS = (0.5, 0.95)
"""Shares of solved pairs for which the smallest sufficient number of vectors is reported, see `enough`."""


def ablations(bench: Bench, bounds: Mapping[str, Bounds]) -> dict[str, Any]:
    """The content of `ablations.json`: a cell a value, and the smallest numbers of vectors from which on shares are solved."""
    asked = bench.opened.config.ablations
    count = len(bench.opened.pairs[: asked.pairs])
    cells = []
    for kind, values, key in (("vectors", asked.vectors, "vectors"), ("learning_rate", asked.learning_rate, "lr")):
        for value in values:
            held = _bounds(bench.under(vectors=value), count) if key == "vectors" else bounds
            rows = stages.ablation(bench, f"{kind}-{value!r}", held, **{key: value})
            cells.append(cell(kind, value, count, rows, held))
    joined = bench.folder / "stages"
    if asked.models:
        names = {pair.pair.id for pair in bench.opened.pairs[: asked.pairs]}
        own = [row for row in read_rows(joined / "joint" / "candidates.jsonl", CandidateRow) if row["pair"] in names]
        cells.append(cell("model", _called(bench.opened.config.model), count, own, bounds))
    cells += [_other_model(bench, number, model) for number, model in enumerate(asked.models)]
    if (path := joined / "joint_paraphrases" / "candidates.jsonl").exists():
        on = read_rows(path, CandidateRow)
        names = {row["pair"] for row in on}
        off = [row for row in read_rows(joined / "joint" / "candidates.jsonl", CandidateRow) if row["pair"] in names]
        cells += [cell("paraphrases", value, len(names), rows, bounds) for value, rows in ((False, off), (True, on))]
    shares = {one["value"]: one["share"] for one in cells if one["ablation"] == "vectors"}
    return {"cells": cells, "k_thresholds": {str(share): enough(shares, share) for share in THRESHOLDS}}


def enough(shares: Mapping[int, float], share: float) -> int | None:
    """The smallest number of vectors from which on all larger ones of `shares` solve this share too; None where the largest
    does not."""
    short = max((count for count, found in shares.items() if found < share), default=0)
    return min((count for count in shares if count > short), default=None)


def _other_model(bench: Bench, number: int, model: Component) -> dict[str, Any]:
    """The first pairs under another model, compared with its own losses under random vectors."""
    bench.watcher.say(f"Ablation: {_called(model)}.")
    asked = bench.opened.config.ablations.pairs
    opened = under_model(bench.opened, model, asked)
    for one in opened.skipped:
        bench.watcher.say(f"{one.pair} does not fit {_called(model)}: {one.reason}")
    rows: list[dict[str, Any]] = []
    bounds: dict[str, Bounds] = {}
    if opened.pairs:
        bounds = _bounds(replace(bench, opened=opened), asked)
        rows = stages.ablation(replace(bench, opened=opened), f"model-{number}", bounds)
    return cell("model", _called(model), len(bench.opened.pairs[:asked]), rows, bounds)


def _bounds(bench: Bench, count: int) -> dict[str, Bounds]:
    """The bounds for the first pairs' losses under a bench's own model and number of vectors."""
    opened = bench.opened
    made = baseline_rows(opened.network, opened.modes, opened.pairs[:count], opened.tokenizer, opened.settings)
    return {row["pair"]: bounds_of(row) for row in made}


def _called(model: Component) -> str:
    """A model in a word or two: its kind where it is not a pretrained one, and the last part of its path."""
    spec = model.spec
    name = PurePath(str(spec.get("path", ""))).name
    return name if spec["name"] == "pretrained" else f"{name}, {spec['name']}"


def cell(
    kind: str, value: Any, pairs: int, rows: Sequence[Mapping[str, Any]], bounds: Mapping[str, Bounds]
) -> dict[str, Any]:
    """The row of one value: the solved share with its interval, steps of solved candidates, mean loss over random vectors'."""
    good = [row for row in rows if row["status"] == "solved"]
    ratios = [
        (row["loss"]["question"] + row["loss"]["answer"]) / sum(bounds[row["pair"]].random.values())
        for row in rows
        if row["pair"] in bounds
    ]
    return {
        "ablation": kind,
        "value": value,
        **share_of(rows, pairs),
        "mean_steps": sum(row["steps"] for row in good) / len(good) if good else None,
        "mean_loss_ratio": sum(ratios) / len(ratios) if ratios else None,
        "seconds": sum(row["seconds"] for row in rows),
    }

"""One thing varied at a time: numbers of vectors, learning rates, other wordings on and off."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.memory import stages
from trimtab.memory.recording import share_of
from trimtab.memory.stages import Bench
from trimtab.memory.staging import Bounds
from trimtab.records import read_rows

THRESHOLDS = (0.5, 0.95)
"""Shares of solved pairs for which the smallest sufficient number of vectors is told."""


def ablations(bench: Bench, bounds: Mapping[str, Bounds]) -> dict[str, Any]:
    """The content of `ablations.json`: a cell a value, and the smallest numbers of vectors at which shares are still solved."""
    asked = bench.opened.config.ablations
    count = len(bench.opened.pairs[: asked.pairs])
    cells = []
    for kind, values, key in (("vectors", asked.vectors, "vectors"), ("learning_rate", asked.learning_rate, "lr")):
        for value in values:
            rows = stages.ablation(bench, f"{kind}-{value:g}", bounds, **{key: value})
            cells.append(cell(kind, value, count, rows, bounds))
    joined = bench.folder / "stages"
    if (path := joined / "joint_paraphrases" / "candidates.jsonl").exists():
        on = read_rows(path, numbers=True)
        names = {row["pair"] for row in on}
        off = [row for row in read_rows(joined / "joint" / "candidates.jsonl", numbers=True) if row["pair"] in names]
        cells += [cell("paraphrases", value, len(names), rows, bounds) for value, rows in ((False, off), (True, on))]
    enough = {
        share: [one["value"] for one in cells if one["ablation"] == "vectors" and one["share"] >= share]
        for share in THRESHOLDS
    }
    return {"cells": cells, "k_thresholds": {str(share): min(found, default=None) for share, found in enough.items()}}


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

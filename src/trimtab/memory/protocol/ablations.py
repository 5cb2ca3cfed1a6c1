"""Ablations: one setting varied at a time (number of vectors, learning rate, paraphrases, model)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from trimtab.config.schema import Component
from trimtab.memory.protocol import stages
from trimtab.memory.protocol.baselines import baseline_rows, bounds_of
from trimtab.memory.protocol.candidates import LossBounds
from trimtab.memory.protocol.parts import with_other_model
from trimtab.memory.protocol.run_records import share_of
from trimtab.memory.protocol.stages import StageSetup
from trimtab.records import read_rows
from trimtab.records.memory_rows import CandidateRow
from trimtab.runtime.events import Message

THRESHOLDS = (0.5, 0.95)
"""Shares of solved pairs for which the smallest sufficient number of vectors is reported."""


def ablations(setup: StageSetup, bounds: Mapping[str, LossBounds]) -> dict[str, Any]:
    """The content of `ablations.json`: one cell per value, and the smallest numbers of vectors that reach `THRESHOLDS`."""
    settings = setup.parts.config.ablations
    count = len(setup.parts.pairs[: settings.pairs])
    cells = []
    for kind, values, key in (
        ("vectors", settings.vectors, "vectors"),
        ("learning_rate", settings.learning_rate, "lr"),
    ):
        for value in values:
            own_bounds = _bounds(setup.with_settings(vectors=value), count) if key == "vectors" else bounds
            rows = stages.ablation(setup, f"{kind}-{value!r}", own_bounds, **{key: value})
            cells.append(cell(kind, value, count, rows, own_bounds))
    stage_folders = setup.folder / "stages"
    if settings.models:
        names = {pair.pair.id for pair in setup.parts.pairs[: settings.pairs]}
        own = [
            row for row in read_rows(stage_folders / "joint" / "candidates.jsonl", CandidateRow) if row["pair"] in names
        ]
        cells.append(cell("model", _model_name(setup.parts.config.model), count, own, bounds))
    cells += [_other_model(setup, number, model) for number, model in enumerate(settings.models)]
    if (path := stage_folders / "joint_paraphrases" / "candidates.jsonl").exists():
        on = read_rows(path, CandidateRow)
        names = {row["pair"] for row in on}
        off = [
            row for row in read_rows(stage_folders / "joint" / "candidates.jsonl", CandidateRow) if row["pair"] in names
        ]
        cells += [cell("paraphrases", value, len(names), rows, bounds) for value, rows in ((False, off), (True, on))]
    shares = {one["value"]: one["share"] for one in cells if one["ablation"] == "vectors"}
    return {"cells": cells, "k_thresholds": {str(share): smallest_sufficient(shares, share) for share in THRESHOLDS}}


def smallest_sufficient(shares: Mapping[int, float], share: float) -> int | None:
    """The smallest number of vectors that solves `share`, as do all larger numbers in `shares`; None if the largest does not."""
    too_few = max((count for count, solved in shares.items() if solved < share), default=0)
    return min((count for count in shares if count > too_few), default=None)


def _other_model(setup: StageSetup, number: int, model: Component) -> dict[str, Any]:
    """The first pairs under another model, compared with its own losses under random vectors."""
    setup.context.emit(Message(f"Ablation: {_model_name(model)}."))
    count = setup.parts.config.ablations.pairs
    parts = with_other_model(setup.parts, model, count)
    for one in parts.skipped:
        setup.context.emit(Message(f"{one.pair} does not fit {_model_name(model)}: {one.reason}"))
    rows: list[dict[str, Any]] = []
    bounds: dict[str, LossBounds] = {}
    if parts.pairs:
        bounds = _bounds(replace(setup, parts=parts), count)
        rows = stages.ablation(replace(setup, parts=parts), f"model-{number}", bounds)
    return cell("model", _model_name(model), len(setup.parts.pairs[:count]), rows, bounds)


def _bounds(setup: StageSetup, count: int) -> dict[str, LossBounds]:
    """The bounds on the first pairs' losses, for the setup's model and number of vectors."""
    parts = setup.parts
    rows = baseline_rows(parts.network, parts.modes, parts.pairs[:count], parts.tokenizer, parts.settings)
    return {row["pair"]: bounds_of(row) for row in rows}


def _model_name(model: Component) -> str:
    """A short name of a model: the last part of its path and, unless it is pretrained, its kind."""
    spec = model.spec
    name = PurePath(str(spec.get("path", ""))).name
    return name if spec["name"] == "pretrained" else f"{name}, {spec['name']}"


def cell(
    kind: str, value: Any, pairs: int, rows: Sequence[Mapping[str, Any]], bounds: Mapping[str, LossBounds]
) -> dict[str, Any]:
    """The cell of one value: solved share with interval, mean steps of solved candidates, mean loss over random vectors'."""
    solved = [row for row in rows if row["status"] == "solved"]
    ratios = [
        (row["loss"]["question"] + row["loss"]["answer"]) / sum(bounds[row["pair"]].random.values())
        for row in rows
        if row["pair"] in bounds
    ]
    return {
        "ablation": kind,
        "value": value,
        **share_of(rows, pairs),
        "mean_steps": sum(row["steps"] for row in solved) / len(solved) if solved else None,
        "mean_loss_ratio": sum(ratios) / len(ratios) if ratios else None,
        "seconds": sum(row["seconds"] for row in rows),
    }

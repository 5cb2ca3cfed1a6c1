"""The cost of the run: seconds by stage, pair-steps per second, peak memory."""

from typing import Any

from trimtab.records.values import flatten, is_number
from trimtab.reports.blocks import DASH, Block, Section, Table, Text, figure
from trimtab.reports.memory.records import STAGES, MemoryRecords, Stage
from trimtab.reports.memory.words import absent

KEY, TITLE = "cost", "Cost"


def cost(records: MemoryRecords) -> Section:
    """A table row per stage, with all ablation cells in one, and the totals of the summary."""
    stages: list[tuple[str, list[Stage]]] = [(STAGES[name], [stage]) for name, stage in records.stages.items()]
    if records.again is not None:
        stages.append(("joint, other starting points (landscape)", [records.again]))
    if records.cells:
        stages.append((f"ablations ({len(records.cells)} cells)", list(records.cells.values())))
    if not stages and records.summary is None:
        return absent(KEY, TITLE, "No candidate of any stage has ended.")
    blocks: list[Block] = [
        Text(
            "A pair-step is one forward and backward pass of one candidate, in every mode of its stage. A candidate is measured "
            "once more than it is updated: before each update and at its end. Seconds are wall-clock time of the engine's steps, "
            "which other work on the machine lengthens."
        )
    ]
    if stages:
        columns = (
            "stage",
            "pairs",
            "candidates",
            "engine steps",
            "pair-steps",
            "positions",
            "seconds",
            "pair-steps per second",
        )
        blocks.append(Table("Engine cost by stage", columns, tuple(_row(name, own) for name, own in stages)))
    metrics = records.summary.metrics if records.summary is not None else {}
    seconds = metrics.get("seconds")
    if isinstance(seconds, dict) and seconds:
        rows = tuple((name.replace("_", " "), _number(value)) for name, value in flatten(seconds))
        blocks.append(Table("Seconds by part of the run", ("part", "seconds"), rows))
    if records.summary is None:
        blocks.append(Text("The total seconds and the peak memory are not known: the run has not ended.", "missing"))
    else:
        engine = sum(step.seconds for _, own in stages for stage in own for step in stage.steps)
        rows = (
            ("seconds of the engine, all sessions", figure(engine)),
            ("seconds of the last session, everything included", figure(records.summary.seconds)),
            ("peak memory of the last session (MiB)", figure(records.summary.peak_rss_mb)),
        )
        peaks = ((key.replace("_", " "), _number(value)) for key, value in flatten(metrics) if "peak" in key)
        blocks.append(Table("The whole run", ("what", "value"), (*rows, *peaks)))
    return Section(KEY, TITLE, tuple(blocks))


def _number(value: Any) -> str:
    return figure(float(value)) if is_number(value) else str(value)


def _row(name: str, stages: list[Stage]) -> tuple[str, ...]:
    steps = [step for stage in stages for step in stage.steps]
    pair_steps, seconds = sum(step.in_flight for step in steps), sum(step.seconds for step in steps)
    counts = (
        (f"{len(steps):,}", f"{pair_steps:,}", f"{sum(step.positions for step in steps):,}", f"{seconds:,.1f}")
        if steps
        else (DASH,) * 4
    )
    return (
        name,
        f"{sum(len(stage.pairs) for stage in stages):,}",
        f"{sum(len(stage.candidates) for stage in stages):,}",
        *counts,
        figure(pair_steps / seconds, 3) if seconds > 0 else DASH,
    )

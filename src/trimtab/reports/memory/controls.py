"""Baselines and controls, next to the results that they control."""

from collections.abc import Sequence

from trimtab.records.memory_rows import SIDES, Controlled, Sides
from trimtab.reports.blocks import DASH, Block, Section, Table, Text, figure
from trimtab.reports.memory.records import STAGES, MemoryRecords, Stage
from trimtab.reports.memory.results import why_no_joint
from trimtab.reports.memory.words import finite, mean, percent, quantile, share_of, wilson

KEY, TITLE = "controls", "Baselines and controls"

NEARLY_NONE = 0.02
"""A control whose share is above this raises a warning."""


def controls(records: MemoryRecords) -> Section:
    """Losses and exact decodes with the memory and without it, and the pairs solved by the protocol and by the control stages."""
    if records.joint is None and not records.baselines:
        why = f"no baseline was measured, and {why_no_joint(records)}"
        return Section(KEY, TITLE, (Text(f"There are no controls: {why}.", "missing"),))
    about = (
        "Losses are in nats per token, with the end token, over pairs. 'Both exact' counts the pairs whose question and answer "
        "are both reproduced token for token by greedy decoding. 'Full context' gives the model the other side of the pair as "
        "text: A after Q, and Q after A in a template, which is one of many and so only a rough guide. "
    )
    about += (
        "Every row covers the pairs that have a memory."
        if kept(records)
        else "No pair has a memory, so the rows cover all pairs."
    )
    blocks: list[Block] = [Text(about), _losses(records)]
    for what, name, there in (
        ("Losses without a memory", "baselines.jsonl", records.baselines),
        ("Losses and decodes under other vectors", "controls.jsonl", records.controls),
    ):
        if not there:
            blocks.append(Text(f"{what} were not measured: there is no {name}.", "missing"))
    blocks += [*_warnings(records), *_stages(records)]
    return Section(KEY, TITLE, tuple(blocks))


def _losses(records: MemoryRecords) -> Table:
    own = kept(records)
    base = [row for pair, row in records.baselines.items() if pair in own or not own]
    control = [row for row in records.controls if row.pair in own or not own]
    rows = (
        _row("the pair's own memory", list(own.values()), own_exact(records)),
        _row("random vectors", [one.random for one in base], None),
        _row("a random token", [one.random_token for one in base], None),
        _row("full context (see above)", [one.context for one in base], None),
        _controlled("another pair's memory", [one.other for one in control]),
        _controlled("modes swapped", [one.swapped for one in control]),
    )
    columns = (
        "condition",
        "pairs",
        "mean loss of Q",
        "median of Q",
        "mean loss of A",
        "median of A",
        "both exact",
        "95% interval",
    )
    return Table("Losses with and without the memory", columns, rows)


def _row(name: str, losses: Sequence[Sides], exact: list[bool] | None) -> tuple[str, ...]:
    cells = [f"{len(losses):,}", *(part for side in SIDES for part in _figures([one.of(side) for one in losses]))]
    if not exact:
        return (name, *cells, DASH, DASH)
    return (name, *cells, share_of(sum(exact), len(exact)), wilson(sum(exact), len(exact)))


def _figures(values: list[float | None]) -> tuple[str, str]:
    return figure(mean(values), 3), figure(quantile(finite(values), 0.5), 3)


def _controlled(name: str, rows: list[Controlled | None]) -> tuple[str, ...]:
    measured = [row for row in rows if row is not None]
    return _row(name, measured, exact(measured))


def exact(rows: list[Controlled]) -> list[bool]:
    """Whether both sides were reproduced exactly, for the rows that record it."""
    sides = [(row.question_exact, row.answer_exact) for row in rows]
    return [bool(question and answer) for question, answer in sides if question is not None and answer is not None]


def kept(records: MemoryRecords) -> dict[str, Sides]:
    """The losses of the pairs that have a memory, which are those that the joint stage solved."""
    pairs = records.joint.pairs if records.joint is not None else {}
    return {pair: solving.best.loss for pair, solving in pairs.items() if solving.solved}


def own_exact(records: MemoryRecords) -> list[bool]:
    """As `exact`, under the pairs' own memories: from the generation check in its first precision; not decoded counts as no."""
    if not records.generation:
        return []
    precision = records.generation[0].precision
    exact: dict[str, list[bool]] = {}
    for row in records.generation:
        if row.precision == precision:
            exact.setdefault(row.pair, []).append(row.tokens_exact)
    return [len(exact.get(pair, ())) == 2 and all(exact[pair]) for pair in kept(records)]


def _warnings(records: MemoryRecords) -> list[Block]:
    warnings: list[Block] = []
    for name, rows in (
        ("another pair's memory", [one.other for one in records.controls]),
        ("swapped modes", [one.swapped for one in records.controls]),
    ):
        hits = exact([row for row in rows if row is not None])
        if hits and sum(hits) > NEARLY_NONE * len(hits):
            sentence = (
                f"Under {name}, {share_of(sum(hits), len(hits))} of the pairs are reproduced exactly. That should be about none: "
                "something other than the memory may produce the texts."
            )
            warnings.append(Text(sentence, "warning"))
    return warnings


def _stages(records: MemoryRecords) -> list[Block]:
    shown = {name: stage for name, stage in records.stages.items() if name != "joint_paraphrases"}
    if not shown:
        return [Text("No stage has a candidate that ended.", "missing")]
    columns = ("stage", "pairs solved", "95% interval", "converged at step 0", "lenient at step 0")
    blocks: list[Block] = [
        Text(
            "A restart begins from random vectors, so its first measurement shows what random vectors reach. They should meet "
            "the strict criterion in almost no pair. Many meet the lenient one, because a small model easily has less than twice "
            "the loss of full context; that is why no gate uses it. Counterfactual pairs have the answer of another pair, which "
            "the model cannot know."
        ),
        Table(
            "Pairs solved, and criteria met before the first update", columns, tuple(_solved(s) for s in shown.values())
        ),
    ]
    for stage in shown.values():
        started = sum(one.start_converged for one in stage.candidates)
        if started > NEARLY_NONE * len(stage.candidates):
            share = share_of(started, len(stage.candidates))
            sentence = f"Stage '{STAGES[stage.name]}': {share} of the restarts had converged at step 0."
            blocks.append(
                Text(
                    f"{sentence} That should be about {percent(0.0)}: check whether the targets leak into the input.",
                    "warning",
                )
            )
    if "joint_counterfactual" not in records.stages:
        blocks.append(
            Text(
                "Counterfactual pairs were not tried, so what the model knew already is not separated from what was stored.",
                "missing",
            )
        )
    return blocks


def _solved(stage: Stage) -> tuple[str, ...]:
    trials = stage.trials
    starts = [one.candidates[0] for one in stage.pairs.values()]
    return (
        STAGES[stage.name],
        share_of(stage.solved, trials),
        wilson(stage.solved, trials),
        share_of(sum(one.start_converged for one in starts), len(starts)),  # known of those alone that have ended
        share_of(sum(one.start_lenient for one in starts), len(starts)),
    )

"""Baselines and controls, each next to the result that it controls."""

from collections.abc import Sequence

from trimtab.records.memory_rows import SIDES, Controlled, Sides
from trimtab.reports.blocks import DASH, Block, Section, Table, Text, figure
from trimtab.reports.memory.records import STAGES, Records, Stage
from trimtab.reports.memory.results import why_no_joint
from trimtab.reports.memory.words import finite, mean, percent, quantile, share_of, wilson

KEY, TITLE = "controls", "Baselines and controls"

NEARLY_NONE = 0.02
"""The share up to which a control counts as about 0."""


def controls(records: Records) -> Section:
    """Losses and exact decodes under the memory and under what is not it; pairs solved, beside the controls' pairs."""
    if records.joint is None and not records.baselines:
        why = f"no baseline was measured, and of the joint stage {why_no_joint(records)}"
        return Section(KEY, TITLE, (Text(f"There is nothing to set beside the results: {why}.", "missing"),))
    about = (
        "Losses are nats a token, the end token included, over pairs. 'Both exactly' counts pairs whose question and "
        "answer are both said token for token by greedy decoding. Full context gives the model the other side of the pair "
        "as real text: A after Q, and Q after A in a template. The template is one of many, so the latter is a rough guide. "
    )
    about += (
        "Every row is of the pairs that have a memory."
        if kept(records)
        else "No pair has a memory: the rows are of all pairs."
    )
    blocks: list[Block] = [Text(about), _losses(records)]
    for what, name, there in (
        ("losses without a memory", "baselines.jsonl", records.baselines),
        ("losses and decodes under other vectors", "controls.jsonl", records.controls),
    ):
        if not there:
            blocks.append(Text(f"{what}: there is no {name}, so their rows have dashes.", "missing"))
    blocks += [*_warnings(records), *_stages(records)]
    return Section(KEY, TITLE, tuple(blocks))


def _losses(records: Records) -> Table:
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
        "under",
        "pairs",
        "mean loss of Q",
        "median of Q",
        "mean loss of A",
        "median of A",
        "both exactly",
        "95% interval",
    )
    return Table("The memory beside what is not it", columns, rows)


def _row(name: str, losses: Sequence[Sides], exact: list[bool] | None) -> tuple[str, ...]:
    told = [f"{len(losses):,}", *(part for side in SIDES for part in _figures([one.of(side) for one in losses]))]
    if not exact:
        return (name, *told, DASH, DASH)
    return (name, *told, share_of(sum(exact), len(exact)), wilson(sum(exact), len(exact)))


def _figures(values: list[float | None]) -> tuple[str, str]:
    return figure(mean(values), 3), figure(quantile(finite(values), 0.5), 3)


def _controlled(name: str, rows: list[Controlled | None]) -> tuple[str, ...]:
    found = [row for row in rows if row is not None]
    return _row(name, found, exact(found))


def exact(rows: list[Controlled]) -> list[bool]:
    """Whether both sides were said exactly, of the rows that tell."""
    told = [(row.question_exact, row.answer_exact) for row in rows]
    return [bool(question and answer) for question, answer in told if question is not None and answer is not None]


def kept(records: Records) -> dict[str, Sides]:
    """The pairs that have a memory, with its losses: those that the joint stage solved."""
    pairs = records.joint.pairs if records.joint is not None else {}
    return {pair: solving.best.loss for pair, solving in pairs.items() if solving.solved}


def own_exact(records: Records) -> list[bool]:
    """The same under the pairs' own memories, of the generation check in its first precision; one not decoded counts as no."""
    if not records.generation:
        return []
    precision = records.generation[0].precision
    said: dict[str, list[bool]] = {}
    for row in records.generation:
        if row.precision == precision:
            said.setdefault(row.pair, []).append(row.tokens_exact)
    return [len(said.get(pair, ())) == 2 and all(said[pair]) for pair in kept(records)]


def _warnings(records: Records) -> list[Block]:
    found: list[Block] = []
    for name, rows in (
        ("another pair's memory", [one.other for one in records.controls]),
        ("swapped modes", [one.swapped for one in records.controls]),
    ):
        hits = exact([row for row in rows if row is not None])
        if hits and sum(hits) > NEARLY_NONE * len(hits):
            told = f"Under {name}, {share_of(sum(hits), len(hits))} of the pairs are said exactly, which should be about none: "
            found.append(Text(told + "the memories may not be what says them.", "warning"))
    return found


def _stages(records: Records) -> list[Block]:
    shown = {name: stage for name, stage in records.stages.items() if name != "joint_paraphrases"}
    if not shown:
        return [Text("No stage has a candidate that ended.", "missing")]
    columns = ("stage", "pairs solved", "95% interval", "converged at step 0", "lenient at step 0, which gates nothing")
    blocks: list[Block] = [
        Text(
            "A restart begins from random vectors, so what is met at step 0 is met by random vectors: the strict criterion "
            "by about none; the lenient one, whose second half (twice the loss in full context) a small model meets "
            "easily, by many, which is why it gates nothing. Counterfactual pairs have another pair's answer, which the model "
            "cannot know."
        ),
        Table(
            "Pairs solved, beside what is solved without fitting", columns, tuple(_solved(s) for s in shown.values())
        ),
    ]
    for stage in shown.values():
        started = sum(one.start_converged for one in stage.candidates)
        if started > NEARLY_NONE * len(stage.candidates):
            share = share_of(started, len(stage.candidates))
            told = f"Stage '{STAGES[stage.name]}': {share} of the restarts had converged at step 0."
            blocks.append(
                Text(
                    f"{told} That should be about {percent(0.0)}: look for targets that the vectors leak into.",
                    "warning",
                )
            )
    if "joint_counterfactual" not in records.stages:
        blocks.append(
            Text("Counterfactual pairs were not tried, so knowledge is not told from memory by their rate.", "missing")
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

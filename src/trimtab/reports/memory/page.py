"""The sections of the report of a memory run, in order."""

from dataclasses import replace

from trimtab.records.integrity import altered_warning
from trimtab.records.memory_rows import MEMORY_CONFIG
from trimtab.reports.blocks import Section, Text
from trimtab.reports.memory.ablations import ablations
from trimtab.reports.memory.controls import controls, exact
from trimtab.reports.memory.convergence import convergence
from trimtab.reports.memory.cost import cost
from trimtab.reports.memory.generation import generation
from trimtab.reports.memory.geometry import geometry
from trimtab.reports.memory.judging import about, gates
from trimtab.reports.memory.landscape import landscape
from trimtab.reports.memory.leaks import bits, leaks
from trimtab.reports.memory.origin import origin
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.results import results, verdicts, why_no_joint
from trimtab.reports.memory.robustness import MARGIN_AT, Passing, robustness
from trimtab.reports.memory.words import absent, percent, share_of, wilson
from trimtab.reports.page import Report


def summary(records: MemoryRecords) -> Section:
    """Pairs solved and decoded, controls, robustness, and how many vectors suffice."""
    joint = records.joint
    if joint is None:
        return absent("summary", "Summary", f"There is no result: {why_no_joint(records)}.")
    between = wilson(joint.solved, joint.trials)
    so_far = " so far" if joint.trials > len(joint.pairs) else ""
    sentences = [f"{share_of(joint.solved, joint.trials)} of the pairs are solved{so_far} (95% interval {between})."]
    for precision, words in verdicts(records.generation).items():
        decoded = sum(words.get(pair) == "pass" for pair, solving in joint.pairs.items() if solving.solved)
        sentences.append(
            f"Greedy decoding in {precision} reproduces both texts of {decoded:,} of these {joint.solved:,}."
        )
    other = exact([one.other for one in records.controls if one.other is not None])
    swapped = exact([one.swapped for one in records.controls if one.swapped is not None])
    if other and swapped:
        sentences.append(
            f"Controls: {sum(other):,} of {len(other):,} pairs are reproduced under another pair's vectors, {sum(swapped):,} of "
            f"{len(swapped):,} under their own with the modes swapped."
        )
    return Section("summary", "Summary", (Text(" ".join([*sentences, *_robust(records), *_enough(records)])),))


def _robust(records: MemoryRecords) -> list[str]:
    kinds = {
        f"with {percent(MARGIN_AT)} noise": [row for row in records.robustness if row.level == MARGIN_AT],
        "with int8 rounding": [row for row in records.robustness if row.disturbance == "int8"],
    }
    shares = [f"{percent(Passing(rows).share)} {name}" for name, rows in kinds.items() if rows]
    return [f"Memories that still pass: {', '.join(shares)}."] if shares else []


def _enough(records: MemoryRecords) -> list[str]:
    known = records.ablations.k_thresholds if records.ablations is not None else {}
    thresholds = [
        f"{least} for {percent(float(share))} of the pairs" for share, least in known.items() if least is not None
    ]
    return [f"Smallest number of vectors that suffices, of those tried: {', '.join(thresholds)}."] if thresholds else []


_SECTIONS = (
    summary, gates, about, results, controls, convergence, generation, ablations, robustness, leaks, bits, geometry, landscape,
    cost, origin,
)  # fmt: skip


def compose(records: MemoryRecords) -> Report:
    """Make the report from a memory run's records."""
    question = records.config.get("question")
    title = (
        question
        if isinstance(question, str) and question.strip()
        else "Content memory: can stored vectors make a frozen model produce a question and its answer?"
    )
    footer = (
        f"Made by Trimtab from the records in this folder: {MEMORY_CONFIG}, gates.json, the stages and the measurements of the "
        "memories."
    )
    sections = tuple(make(records) for make in _SECTIONS)
    if records.altered:
        warning = Text(altered_warning("this folder", records.altered), "warning")
        sections = (replace(sections[0], blocks=(warning, *sections[0].blocks)), *sections[1:])
    return Report("Content memory", title, sections, footer)

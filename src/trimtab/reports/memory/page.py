"""What the report of a memory run says, in order."""

from dataclasses import replace

from trimtab.records.integrity import altered_warning
from trimtab.records.memory_rows import MEMORY_CONFIG
from trimtab.reports.blocks import Text
from trimtab.reports.memory.ablations import ablations
from trimtab.reports.memory.answer import answer
from trimtab.reports.memory.controls import controls
from trimtab.reports.memory.convergence import convergence
from trimtab.reports.memory.cost import cost
from trimtab.reports.memory.generation import generation
from trimtab.reports.memory.geometry import geometry
from trimtab.reports.memory.judging import about, gates
from trimtab.reports.memory.landscape import landscape
from trimtab.reports.memory.leaks import bits, leaks
from trimtab.reports.memory.origin import origin
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.results import results
from trimtab.reports.memory.robustness import robustness
from trimtab.reports.page import Report

_PARTS = (
    answer, gates, about, results, controls, convergence, generation, ablations, robustness, leaks, bits, geometry, landscape,
    cost, origin,
)  # fmt: skip


def compose(records: Records) -> Report:
    """Everything that the report says."""
    question = records.config.get("question")
    title = (
        question
        if isinstance(question, str) and question.strip()
        else "Content memory: can a frozen model be made to say a pair?"
    )
    footer = (
        f"Drawn by Trimtab from the records beside this file: {MEMORY_CONFIG}, gates.json, the stages and what was "
        "measured of the memories."
    )
    sections = tuple(part(records) for part in _PARTS)
    if records.altered:
        warning = Text(altered_warning("this folder", records.altered), "warning")
        sections = (replace(sections[0], blocks=(warning, *sections[0].blocks)), *sections[1:])
    return Report("Content memory", title, sections, footer)

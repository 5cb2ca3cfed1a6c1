"""The report as one HTML page and as Markdown, from the same parts."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from trimtab.reports.experiment.blocks import Code, Plot, Section, Table, counted
from trimtab.reports.experiment.cost import cost
from trimtab.reports.experiment.differences import differences
from trimtab.reports.experiment.effects import detection, interventions
from trimtab.reports.experiment.factors import factors
from trimtab.reports.experiment.losses import losses
from trimtab.reports.experiment.origin import comparisons, origin
from trimtab.reports.experiment.records import Records
from trimtab.reports.experiment.regimes import regimes
from trimtab.reports.experiment.reliability import reliability
from trimtab.reports.experiment.stability import instability, variance
from trimtab.reports.style import INK

_SPECIAL = re.compile(r"[\\`*{}\[\]<>|#!$~]|(?<!\w)_|_(?!\w)")
_PARTS = (
    differences, losses, regimes, interventions, detection, instability, variance, reliability, factors, cost, comparisons,
    origin,
)  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What may be said of a treatment: one word and one sentence."""

    treatment: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Report:
    """A whole report, ready to be printed."""

    question: str
    claim: tuple[tuple[str, str], ...]
    judgements: tuple[Judgement, ...]
    warning: str
    sections: tuple[Section, ...]

    @property
    def plots(self) -> list[Plot]:
        """Every plot, in order."""
        return [plot for s in self.sections for block in s.blocks for plot in getattr(block, "plots", ())]


def compose(records: Records) -> Report:
    """Everything that the report says."""
    return Report(
        records.design.question,
        _claim(records),
        _judgements(records),
        _warning(records),
        tuple(section for part in _PARTS if (section := part(records)) is not None),
    )


def _claim(records: Records) -> tuple[tuple[str, str], ...]:
    design, claim = records.design, records.design.claim
    planned = len(design.seed_list) if design.budget.pairs is None else min(design.budget.pairs, len(design.seed_list))
    scale = {"log": " (a log ratio)", "trimmed": " (of the trimmed mean)"}.get(claim.scale, "")
    family = f", shared by {len(design.treatments)} treatments (Holm)" if len(design.treatments) > 1 else ""
    if design.sequential:
        family = f", an equal share of it for each of {counted(len(design.treatments), 'treatment')}, pair by pair"
    return (
        ("Metric", claim.metric + (f", over {design.derived.over}" if design.derived is not None else "")),
        ("Better is", "higher" if claim.higher_is_better else "lower"),
        ("Treatments", f"{', '.join(design.treatments)}; against {design.baseline}"),
        ("Margin", f"{claim.margin:g}{scale}, the smallest difference that matters"),
        ("Level", f"{claim.alpha:g}{family}"),
        ("Pairs planned", f"{planned}, paired by {design.pairing.name.replace('_', ' ')}"),
    )


def _judgements(records: Records) -> tuple[Judgement, ...]:
    if records.judged and records.claims:
        return tuple(Judgement(f.treatment, f.verdict, f.sentence) for f in records.claims.values())
    ended = sum(episode.finished for episode in records.episodes)
    state = {"running": "is running, or was killed", "interrupted": "was interrupted"}.get(
        records.progress.status, f"ended as '{records.progress.status}'"
    )
    sentence = (
        f"The experiment {state}: {ended} of {counted(len(records.episodes), 'episode')} have ended. A verdict before the "
        "planned pairs are in would be another test, so there is none."
    )
    return (Judgement("", "not judged yet", sentence),)


def _warning(records: Records) -> str:
    lost = sum(episode.status == "failed" for episode in records.episodes)
    if not lost or not records.judged:
        return ""
    return (
        f"Episodes that failed: {lost}. Their pairs are missing from the verdict; 'Where this comes from' lists them."
    )


def html(report: Report) -> str:
    """The page: no script, nothing from elsewhere, every text escaped."""
    return str(_environment().get_template("report.html.j2").render(report=report))


def markdown(report: Report) -> str:
    """The same as Markdown, with the plots beside it."""
    return str(_environment().get_template("report.md.j2").render(report=report))


def inlined(plot: Plot) -> Any:
    """A plot's SVG as a part of the page: with title and description, in the page's own ink."""
    from markupsafe import Markup

    start = plot.svg.index("<svg")
    body = re.sub(r"<metadata>.*?</metadata>", "", plot.svg[start:], count=1, flags=re.DOTALL)
    body = body.replace(INK, "currentColor")
    names = f"{plot.name}-title {plot.name}-desc"
    body = body.replace("<svg", f'<svg role="img" aria-labelledby="{names}" focusable="false"', 1)
    end = body.index(">") + 1
    told = Markup('<title id="{0}-title">{1}</title><desc id="{0}-desc">{2}</desc>').format(
        plot.name, plot.caption, plot.description
    )
    return Markup(body[:end]) + told + Markup(body[end:])


def fenced(code: Code) -> Any:
    """A code block of Markdown, its fence longer than any in the text."""
    from markupsafe import Markup

    longest = max((len(run) for run in re.findall(r"`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}sh\n{code.text}\n{fence}")


def plain(value: Any) -> Any:
    """Text as Markdown shows it: its special characters escaped, on one line. Markup stays as it is."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], " ".join(value.split()))
    return Markup(escaped.replace("\\<", "&lt;").replace("\\>", "&gt;"))


def ruler(table: Table) -> Any:
    """The line of a Markdown table that aligns its columns."""
    from markupsafe import Markup

    return Markup("|" + "|".join(" --- " if i in table.words else " ---: " for i in range(len(table.columns))) + "|")


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("trimtab.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {
        "inlined": inlined,
        "fenced": fenced,
        "plain": plain,
        "ruler": ruler,
        "kind": lambda b: type(b).__name__,
    }
    return found

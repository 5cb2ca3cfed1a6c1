"""What the report of a paired experiment says, in order."""

from collections import Counter

from trimtab.boundary import counted, shortened
from trimtab.config import kind_named
from trimtab.records.integrity import altered_warning
from trimtab.reports.blocks import Block, Judgement, Judgements, Listing, Section, Text
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
from trimtab.reports.page import Report

TRAINING_SECTIONS = (
    differences, losses, regimes, interventions, detection, instability, variance, reliability, factors, cost, comparisons,
    origin,
)  # fmt: skip
"""Of an experiment whose episodes are training runs."""

_SECTIONS = (differences, variance, factors, comparisons, origin)
"""Of any other, unless its kind of run names its own."""


def compose(records: Records) -> Report:
    """Everything that the report says."""
    order = kind_named(records.design.episodes).load("sections") or _SECTIONS
    parts = (section for part in order if (section := part(records)) is not None)
    return Report(
        "Paired experiment",
        records.design.question,
        (_claim(records), _verdict(records), *parts),
        "Drawn by Trimtab from the records beside this file: experiment.json, verdicts.json and the episodes.",
    )


def _claim(records: Records) -> Section:
    design, claim = records.design, records.design.claim
    planned = len(design.seed_list) if design.budget.pairs is None else min(design.budget.pairs, len(design.seed_list))
    scale = {"log": " (a log ratio)", "trimmed": " (of the trimmed mean)"}.get(claim.scale, "")
    family = f", shared by {len(design.treatments)} treatments (Holm)" if len(design.treatments) > 1 else ""
    if design.sequential:
        family = f", an equal share of it for each of {counted(len(design.treatments), 'treatment')}, pair by pair"
    rows = (
        ("Metric", claim.metric + (f", over {design.derived.over}" if design.derived is not None else "")),
        ("Better is", "higher" if claim.higher_is_better else "lower"),
        ("Treatments", f"{', '.join(design.treatments)}; against {design.baseline}"),
        ("Margin", f"{claim.margin:g}{scale}, the smallest difference that matters"),
        ("Level", f"{claim.alpha:g}{family}"),
        ("Pairs planned", f"{planned}, paired by {design.pairing.name.replace('_', ' ')}"),
    )
    return Section("claim", "Claim", (Text("Written before the run."), Listing(rows)))


def _verdict(records: Records) -> Section:
    blocks: list[Block] = [Judgements(_judgements(records))]
    if records.altered:
        blocks.insert(0, Text(altered_warning("this folder", records.altered), "warning"))
    warning = _warning(records)
    if warning:
        blocks.append(Text(warning, "warning"))
    return Section("verdict", "Verdict", tuple(blocks))


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
    lost = [episode for episode in records.episodes if episode.status == "failed"]
    if not lost or not records.judged:
        return ""
    arms = ", ".join(f"{number} of {arm}" for arm, number in Counter(episode.arm for episode in lost).items())
    reasons = {event.get("episode"): str(event.get("error", "")) for event in records.progress.events}
    first = shortened(reasons.get(lost[0].name, "no reason was recorded"), 300).rstrip(".")
    return (
        f"{len(lost)} of {counted(len(records.episodes), 'episode')} failed ({arms}). Their pairs are missing from the verdict, "
        f"which is of the pairs that finished. The first, {lost[0].name}: {first}. 'Where this comes from' lists them all."
    )

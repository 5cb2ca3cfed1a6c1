"""The sections of the report of a paired experiment, in order."""

from collections import Counter

from trimtab.boundary import counted, shortened
from trimtab.config import kind_named
from trimtab.records.experiment_files import UNKNOWN_REASON
from trimtab.records.integrity import altered_warning
from trimtab.reports.blocks import Block, Judgement, Judgements, Listing, Section, Text
from trimtab.reports.experiment.cost import cost
from trimtab.reports.experiment.differences import differences
from trimtab.reports.experiment.effects import detection, interventions
from trimtab.reports.experiment.factors import factors
from trimtab.reports.experiment.losses import losses
from trimtab.reports.experiment.origin import comparisons, origin
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.experiment.regimes import regimes
from trimtab.reports.experiment.reliability import reliability
from trimtab.reports.experiment.stability import instability, variance
from trimtab.reports.page import Report

TRAINING_SECTIONS = (
    differences, losses, regimes, interventions, detection, instability, variance, reliability, factors, cost, comparisons,
    origin,
)  # fmt: skip
"""The sections where episodes are training runs."""

_SECTIONS = (differences, variance, factors, comparisons, origin)
"""The sections for other kinds of run, unless the kind names its own."""


def compose(records: ExperimentRecords) -> Report:
    """Make the report from an experiment's records."""
    makers = kind_named(records.spec.episodes).load("sections") or _SECTIONS
    sections = (section for make in makers if (section := make(records)) is not None)
    return Report(
        "Paired experiment",
        records.spec.question,
        (_claim(records), _verdict(records), *sections),
        "Made by Trimtab from the records in this folder: experiment.json, verdicts.json and the episodes.",
    )


def _claim(records: ExperimentRecords) -> Section:
    spec, claim = records.spec, records.spec.claim
    planned = len(spec.seed_list) if spec.budget.pairs is None else min(spec.budget.pairs, len(spec.seed_list))
    scale = {"log": " (a log ratio)", "trimmed": " (of the trimmed mean)"}.get(claim.scale, "")
    family = f", shared by {len(spec.treatments)} treatments (Holm)" if len(spec.treatments) > 1 else ""
    if spec.sequential:
        family = f", split equally over {counted(len(spec.treatments), 'treatment')} and tested pair by pair"
    rows = (
        ("Metric", claim.metric + (f", over {spec.derived.over}" if spec.derived is not None else "")),
        ("Better is", "higher" if claim.higher_is_better else "lower"),
        ("Treatments", f"{', '.join(spec.treatments)}; against {spec.baseline_arm}"),
        ("Margin", f"{claim.margin:g}{scale}, the smallest difference that matters"),
        ("Level", f"{claim.alpha:g}{family}"),
        ("Pairs planned", f"{planned}, paired by {spec.pairing.name.replace('_', ' ')}"),
    )
    return Section("claim", "Claim", (Text("Written down before the experiment ran."), Listing(rows)))


def _verdict(records: ExperimentRecords) -> Section:
    blocks: list[Block] = [Judgements(_judgements(records))]
    if records.altered:
        blocks.insert(0, Text(altered_warning("this folder", records.altered), "warning"))
    warning = _warning(records)
    if warning:
        blocks.append(Text(warning, "warning"))
    return Section("verdict", "Verdict", tuple(blocks))


def _judgements(records: ExperimentRecords) -> tuple[Judgement, ...]:
    if records.claims:
        return tuple(Judgement(f.treatment, f.verdict, f.sentence) for f in records.claims.values())
    ended = sum(episode.finished for episode in records.episodes)
    state = {"running": "is running, or was killed", "interrupted": "was interrupted"}.get(
        records.progress.status, f"ended as '{records.progress.status}'"
    )
    sentence = (
        f"The experiment {state}: {ended} of {counted(len(records.episodes), 'episode')} have ended. Verdicts are "
        "given when all planned pairs have ended, because testing earlier would be a different test."
    )
    return (Judgement("", "not judged yet", sentence),)


def _warning(records: ExperimentRecords) -> str:
    failed = [episode for episode in records.episodes if episode.status == "failed"]
    if not failed or not records.verdicts:
        return ""
    arms = ", ".join(f"{number} of {arm}" for arm, number in Counter(episode.arm for episode in failed).items())
    reasons = {event.episode: event.error for event in records.progress.events}
    first = shortened(reasons.get(failed[0].name, UNKNOWN_REASON), 300).rstrip(".")
    return (
        f"{len(failed)} of {counted(len(records.episodes), 'episode')} failed ({arms}). Their pairs are missing from the "
        f"verdict, which uses the pairs that finished. The first, {failed[0].name}: {first}. 'Provenance' lists them all."
    )

"""The gates of the run, and what was run."""

from trimtab.boundary import counted
from trimtab.records.memory_rows import GateRecord
from trimtab.reports.blocks import Judgement, Judgements, Listing, Section, Text
from trimtab.reports.memory.records import STAGES, MemoryRecords
from trimtab.reports.memory.words import percent, span

NAMES = {**STAGES, "early": "joint, after its first pairs"}
"""The names of the gates in the report."""


def gates(records: MemoryRecords) -> Section:
    """Whether each gate was passed, stopped the run, or was overridden; without gates, how far the run is."""
    judgements = tuple(
        Judgement(NAMES.get(one.gate, one.gate), _word(records, one), _sentence(one)) for one in records.gates
    )
    return Section("gates", "Gates", (Judgements(judgements or (_unjudged(records),)),))


def _unjudged(records: MemoryRecords) -> Judgement:
    ended = ", ".join(
        f"{STAGES[name]}: {counted(len(s.candidates), 'candidate')}" for name, s in records.stages.items()
    )
    state = "The run has not reached a gate yet." if records.summary is None else "The run ended before its first gate."
    return Judgement(
        "", "not judged yet", f"{state} {f'Ended so far: {ended}.' if ended else 'No candidate has ended.'}"
    )


def _word(records: MemoryRecords, gate: GateRecord) -> str:
    if gate.passed:
        return "passed"
    if gate.gate == "early":
        return "early warning"
    return "stopped" if records.stopped else "not passed"


def _sentence(gate: GateRecord) -> str:
    ends = span(gate.low, gate.high, shares=True)
    numbers = f"{percent(gate.share)} solved (95% interval {ends}), at least {percent(gate.threshold)} required."
    return f"{numbers} {gate.message}".strip()


def about(records: MemoryRecords) -> Section:
    """Model, pairs and settings."""
    tried = counted(len(records.pairs), "pair") if records.pairs else "not read yet"
    skipped = _skipped(records)
    rows = [
        ("Model", _named(records, "model")),
        (
            "Pairs",
            f"{_named(records, 'pairs')}: {tried}"
            + (f", {skipped:,} skipped (listed under Provenance)" if skipped else ""),
        ),
        ("Vectors (K)", _plain(records.setting("vectors"))),
        ("Layout", _plain(records.setting("layout")).replace("_", " ")),
        ("Margin", _margin(records)),
        ("Precision", _plain(records.setting("solve", "precision"))),
        ("Status", records.status),
    ]
    return Section(
        "run",
        "The run",
        (Text("The model is frozen; only the K vectors of each pair are fitted."), Listing(tuple(rows))),
    )


def _skipped(records: MemoryRecords) -> int:
    """The number of skipped pairs.

    It comes from the summary if that records it; otherwise it is the number of `pair_skipped` events, each of which may cover
    many pairs.
    """
    recorded = records.summary.metrics.get("skipped") if records.summary is not None else None
    return (
        recorded if isinstance(recorded, int) else sum(event.get("kind") == "pair_skipped" for event in records.events)
    )


def _margin(records: MemoryRecords) -> str:
    margin = records.setting("solve", "margin")
    return (
        _plain(margin)
        if margin is None
        else f"{_plain(margin)} in logits, between every target token and the next most likely token"
    )


def _named(records: MemoryRecords, key: str) -> str:
    """The name of a component and its parameters."""
    part = records.config.get(key)
    if not isinstance(part, dict):
        return _plain(part)
    own = ", ".join(f"{name} {_plain(value)}" for name, value in part.items() if name != "name" and value is not None)
    return _plain(part.get("name", key)) + (f" ({own})" if own else "")


def _plain(value: object) -> str:
    if value is None:
        return "not recorded"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return str(value)

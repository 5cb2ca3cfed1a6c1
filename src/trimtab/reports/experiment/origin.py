"""Every comparison that was made, where the records come from, and how to make them again."""

import json
import shlex
from collections import Counter
from typing import Any

from trimtab.boundary import counted
from trimtab.reports.blocks import Block, Code, Section, Table, Text, figure, interval, signed
from trimtab.reports.experiment.records import Records


def comparisons(records: Records) -> Section:
    """All verdicts, those that came to nothing included."""
    key, title = "comparisons", "Every comparison made"
    if not records.findings:
        return Section(key, title, (Text("No comparison has been made yet.", "missing"),))
    columns = (
        "treatment", "metric", "verdict", "pairs", "mean difference", "interval", "p", "adjusted p", "P(win)", "e-value",
    )  # fmt: skip
    rows = tuple(
        (
            f.treatment,
            f.metric,
            f.verdict if f.primary else "explored",
            str(f.n),
            signed(f.mean_difference),
            interval(*f.confidence_interval),
            figure(f.p_value, 2),
            figure(f.p_adjusted, 2),
            figure(f.p_win, 2),
            figure(f.e_value, 3),
        )
        for f in records.findings
    )
    claimed = sum(f.primary for f in records.findings)
    about = (
        f"{counted(len(rows), 'comparison')}, of which {claimed} claimed before the run and the others explored: estimates "
        "without a verdict, their p not adjusted. Intervals are at 95%, those of claims at the level "
        "that stands with the paired differences."
    )
    table = Table("Treatment − baseline", columns, rows, words=frozenset({0, 1, 2}))
    return Section(key, title, (Text(about), table))


def origin(records: Records) -> Section:
    """The manifest, the command that repeats the experiment, and what went wrong on the way."""
    progress = records.progress
    again = [
        "trimtab",
        "run",
        "experiment.yaml",
        "--out",
        "again",
        *(["--pilot"] if "--pilot" in progress.command else []),
        *(["--allow-code"] if records.design.needs_permission else []),
    ]
    blocks: list[Block] = [
        Text("The experiment is repeated, from the resolved spec in its folder, by"),
        Code(shlex.join(again)),
    ]
    if progress.command:
        blocks += [Text("It was started by"), Code(shlex.join(progress.command))]
    blocks += [Table("Manifest", ("what", "recorded"), _manifest(records), words=frozenset({0, 1}))]
    blocks += [_configs(records), *_troubles(records)]
    return Section("origin", "Where this comes from", tuple(blocks))


def _manifest(records: Records) -> tuple[tuple[str, ...], ...]:
    progress = records.progress
    commit = progress.git_commit or "unknown"
    rows = [
        ("begun", progress.created_at),
        ("ended", progress.ended_at or "not recorded"),
        ("status", progress.status),
        ("Trimtab", progress.trimtab),
        ("commit", f"{commit}, with changes of its own" if progress.git_dirty else commit),
        ("pairing", _pairing(records)),
    ]
    manifests = [e.manifest for e in records.episodes if e.manifest is not None and not e.same]
    rows += [("data", text) for text in sorted({f"{m.data.name}, fingerprint {m.data.fingerprint}" for m in manifests})]
    values: dict[str, set[str]] = {}
    for manifest in manifests:
        for name, value in manifest.environment.items():
            values.setdefault(name, set()).add(_plain(value))
    rows += [(f"environment: {name}", "; ".join(sorted(found))) for name, found in values.items()]
    return tuple(rows)


def _plain(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _pairing(records: Records) -> str:
    pairing = records.design.pairing
    kind = pairing.name.replace("_", " ")
    return f"{kind}, at step {pairing.at}" if pairing.at is not None else kind


def _configs(records: Records) -> Table:
    rows = [
        (
            e.arm,
            str(e.seed),
            *map(str, e.cell),
            e.status if not e.same else "the baseline's run",
            e.manifest.config_hash,
        )
        for e in records.episodes
        if e.manifest is not None
    ]
    keys = tuple(key.rsplit(".", 1)[-1] for key in records.design.factors)
    columns = ("arm", "seed", *keys, "status", "config hash")
    return Table(
        "Config hash of every run",
        columns,
        tuple(rows),
        words=frozenset({0, len(columns) - 2, len(columns) - 1}),
        folded=True,
    )


def _troubles(records: Records) -> list[Block]:
    counts = Counter(episode.status for episode in records.episodes)
    told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    blocks: list[Block] = [Text(f"Of {counted(len(records.episodes), 'episode')} planned: {told}.")]
    events = records.progress.events
    if not events:
        return [*blocks, Text("No worker was lost and no episode failed.")]
    rows = tuple(tuple(str(event.get(name, "")) for name in ("time", "episode", "status", "error")) for event in events)
    table = Table(
        "Workers lost and episodes failed", ("time", "episode", "what", "why"), rows, words=frozenset(range(4))
    )
    return [*blocks, table]

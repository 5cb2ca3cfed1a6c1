"""All comparisons, where the records come from, and how to repeat the experiment."""

import shlex
from collections import Counter

from trimtab.boundary import counted
from trimtab.config.permission import needs_permission
from trimtab.reports.blocks import Block, Code, Section, Table, Text, figure, interval, signed
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.provenance import commit, plain


def comparisons(records: ExperimentRecords) -> Section:
    """A table of all verdicts, exploratory ones included."""
    key, title = "comparisons", "All comparisons"
    if not records.verdicts:
        return Section(key, title, (Text("No comparison has been made yet.", "missing"),))
    columns = (
        "treatment", "metric", "verdict", "pairs", "mean difference", "interval", "p", "adjusted p", "P(win)", "e-value",
    )  # fmt: skip
    rows = tuple(
        (
            f.treatment,
            f.metric,
            f.verdict if f.claimed else "exploratory",
            str(f.n),
            signed(f.mean_difference),
            interval(*f.confidence_interval),
            figure(f.p_value, 2),
            figure(f.p_adjusted, 2),
            figure(f.p_win, 2),
            figure(f.e_value, 3),
        )
        for f in records.verdicts
    )
    claimed = sum(f.claimed for f in records.verdicts)
    about = (
        f"{counted(len(rows), 'comparison')}, of which {claimed} claimed before the run. The others are exploratory: "
        "estimates without a verdict, with unadjusted p values. Their intervals are at 95%, those of claims at the level given "
        "under 'Paired differences'."
    )
    table = Table("Treatment − baseline", columns, rows, words=frozenset({0, 1, 2}))
    return Section(key, title, (Text(about), table))


def origin(records: ExperimentRecords) -> Section:
    """The manifest, the command that repeats the experiment, and failed episodes."""
    progress = records.progress
    again = [
        "trimtab",
        "run",
        "experiment.yaml",
        "--out",
        "again",
        *(["--pilot"] if "--pilot" in progress.command else []),
        *(["--allow-code"] if needs_permission(records.spec.model_dump()) else []),
    ]
    blocks: list[Block] = [
        Text("To repeat the experiment, run this command in its folder, which holds the resolved spec:"),
        Code(shlex.join(again)),
    ]
    if progress.command:
        blocks += [Text("It was started with:"), Code(shlex.join(progress.command))]
    blocks += [Table("Manifest", ("what", "recorded"), _manifest(records), words=frozenset({0, 1}))]
    blocks += [_configs(records), *_troubles(records)]
    return Section("origin", "Provenance", tuple(blocks))


def _manifest(records: ExperimentRecords) -> tuple[tuple[str, ...], ...]:
    progress = records.progress
    rows = [
        ("started", progress.created_at),
        ("ended", progress.ended_at or "not recorded"),
        ("status", progress.status),
        ("Trimtab", progress.trimtab),
        ("commit", commit(progress.git_commit, progress.git_dirty)),
        ("pairing", _pairing(records)),
    ]
    manifests = [e.manifest for e in records.episodes if e.manifest is not None and not e.same]
    rows += [("data", text) for text in sorted({f"{m.data.name}, fingerprint {m.data.fingerprint}" for m in manifests})]
    values: dict[str, set[str]] = {}
    for manifest in manifests:
        for name, value in manifest.environment.items():
            values.setdefault(name, set()).add(plain(value))
    rows += [(f"environment: {name}", "; ".join(sorted(texts))) for name, texts in values.items()]
    return tuple(rows)


def _pairing(records: ExperimentRecords) -> str:
    pairing = records.spec.pairing
    kind = pairing.name.replace("_", " ")
    return f"{kind}, at step {pairing.at}" if pairing.at is not None else kind


def _configs(records: ExperimentRecords) -> Table:
    rows = [
        (
            e.arm,
            str(e.seed),
            *map(str, e.cell),
            e.status if not e.same else "same as the baseline",
            e.manifest.config_hash,
        )
        for e in records.episodes
        if e.manifest is not None
    ]
    keys = tuple(key.rsplit(".", 1)[-1] for key in records.spec.factors)
    columns = ("arm", "seed", *keys, "status", "config hash")
    return Table(
        "Config hash of every run",
        columns,
        tuple(rows),
        words=frozenset({0, len(columns) - 2, len(columns) - 1}),
        folded=True,
    )


def _troubles(records: ExperimentRecords) -> list[Block]:
    counts = Counter(episode.status for episode in records.episodes)
    summary = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    blocks: list[Block] = [Text(f"Of {counted(len(records.episodes), 'episode')} planned: {summary}.")]
    events = records.progress.events
    if not events:
        return [*blocks, Text("No worker process died and no episode failed.")]
    rows = tuple((event.time, event.episode, event.status, event.error) for event in events)
    table = Table(
        "Dead workers and failed episodes", ("time", "episode", "status", "error"), rows, words=frozenset(range(4))
    )
    return [*blocks, table]

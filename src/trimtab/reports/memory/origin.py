"""Where the records come from, how to repeat the run, skipped pairs, and events."""

import shlex
from typing import Any

from trimtab.boundary import counted
from trimtab.config.yaml_file import dump_yaml
from trimtab.records.memory_rows import MEMORY_CONFIG
from trimtab.reports.blocks import Block, Code, Section, Table, Text
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.words import clipped
from trimtab.reports.provenance import manifest_rows

FILES = {
    MEMORY_CONFIG: "the resolved config",
    "pairs.jsonl": "the pairs",
    "baselines.jsonl": "losses without a memory",
    "controls.jsonl": "losses and decodes under other vectors",
    "gates.json": "the gates",
    "generation.jsonl": "decoded texts",
    "ablations.json": "the ablations",
    "robustness.jsonl": "decodes under noise and rounding",
    "leaks.json": "bits by text and mode",
    "geometry.json": "norms, nearest tokens, distances",
    "landscape.json": "losses around the memories",
    "summary.json": "how the run ended",
}
"""The files of a run apart from its stages and memories."""


def origin(records: MemoryRecords) -> Section:
    """Manifest, commands, config, files and events."""
    blocks: list[Block] = [
        Text("To repeat the run, use this command in its folder, which holds the resolved config:"),
        Code(
            shlex.join(
                ["trimtab", "memory", "run", MEMORY_CONFIG, "--out", "again", *(["--no-gates"] * records.ungated)]
            )
        ),
    ]
    manifest = records.manifest
    if manifest is None:
        blocks.append(Text("Versions and the command are not known: there is no manifest.json.", "missing"))
    else:
        if manifest.command:
            blocks += [Text("It was started with:"), Code(shlex.join(manifest.command))]
        blocks.append(
            Table("Manifest", ("what", "recorded"), manifest_rows(manifest, records.status), words=frozenset({0, 1}))
        )
    config = dump_yaml(records.config, default_flow_style=None, width=100)
    blocks += [Text("Its config:"), Code(config.rstrip(), "yaml"), _files(records), *_events(records)]
    return Section("origin", "Provenance", tuple(blocks))


def _files(records: MemoryRecords) -> Table:
    rows = [(name, words, "yes" if (records.folder / name).exists() else "no") for name, words in FILES.items()]
    for name, stage in (
        *records.stages.items(),
        *((f"ablation/{name}", stage) for name, stage in records.cells.items()),
    ):
        ended = f"{counted(len(stage.candidates), 'candidate')}, {counted(len(stage.steps), 'step')}"
        rows.append((f"stages/{name}", ended, "yes"))
    memories = records.folder / "memories"
    kept = sum(1 for place in memories.iterdir() if place.is_dir()) if memories.is_dir() else 0
    rows.append(("memories", f"{kept:,}, one folder each", "yes" if kept else "no"))
    return Table("Files", ("file", "content", "present"), tuple(rows), words=frozenset({0, 1, 2}), folded=True)


def _events(records: MemoryRecords) -> list[Block]:
    skipped = [str(event.get("reason", "")) for event in records.events if event.get("kind") == "pair_skipped"]
    others = [event for event in records.events if event.get("kind") != "pair_skipped"]
    blocks: list[Block] = []
    if skipped:
        rows = tuple((str(number), clipped(why)) for number, why in enumerate(skipped, start=1))
        blocks.append(Table("Skipped pairs", ("number", "reason"), rows, words=frozenset({1}), folded=len(rows) > 8))
    else:
        blocks.append(Text("No pair was skipped."))
    if others:
        rows = tuple((str(event.get("kind", "")), _rest(event)) for event in others)
        blocks.append(Table("Events", ("kind", "details"), rows, words=frozenset({0, 1}), folded=len(rows) > 8))
    return blocks


def _rest(event: dict[str, Any]) -> str:
    reason = str(event.get("reason") or "")
    rest = {key: value for key, value in event.items() if key not in ("kind", "reason") and value is not None}
    return clipped(" · ".join(filter(None, (reason, ", ".join(f"{key} {value}" for key, value in rest.items())))))

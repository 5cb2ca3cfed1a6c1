"""Where the records come from, how to make them again, and what was left out or went wrong on the way."""

import json
import shlex
from typing import Any

from trimtab.boundary import counted
from trimtab.config.yaml_file import dump_yaml
from trimtab.records.memory_rows import MEMORY_CONFIG
from trimtab.reports.blocks import Block, Code, Section, Table, Text
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.words import clipped

FILES = {
    MEMORY_CONFIG: "the resolved config",
    "pairs.jsonl": "the pairs",
    "baselines.jsonl": "losses without a memory",
    "controls.jsonl": "losses and decodes under other vectors",
    "gates.json": "the gates",
    "generation.jsonl": "what was said",
    "ablations.json": "the ablations",
    "robustness.jsonl": "decodes after a disturbance",
    "leaks.json": "bits by text and mode",
    "geometry.json": "norms, nearest tokens, distances",
    "landscape.json": "losses around the memories",
    "summary.json": "how the run ended",
}
"""The files of a run besides its stages and memories."""


def origin(records: Records) -> Section:
    """Manifest, commands, config, files and events."""
    blocks: list[Block] = [
        Text("The run is repeated, from the resolved config in its folder, by"),
        Code(
            shlex.join(
                ["trimtab", "memory", "run", MEMORY_CONFIG, "--out", "again", *(["--no-gates"] * records.ungated)]
            )
        ),
    ]
    manifest = records.manifest
    if manifest is None:
        blocks.append(Text("Versions and command: there is no manifest.json.", "missing"))
    else:
        if manifest.command:
            blocks += [Text("It was started by"), Code(shlex.join(manifest.command))]
        blocks.append(Table("Manifest", ("what", "recorded"), _manifest(records), words=frozenset({0, 1})))
    config = dump_yaml(records.config, default_flow_style=None, width=100)
    blocks += [Text("Its config is"), Code(config.rstrip(), "yaml"), _files(records), *_events(records)]
    return Section("origin", "Where this comes from", tuple(blocks))


def _manifest(records: Records) -> tuple[tuple[str, ...], ...]:
    manifest = records.manifest
    assert manifest is not None
    commit = manifest.git_commit or "unknown"
    rows = [
        ("run", manifest.run_id),
        ("begun", manifest.created_at),
        ("status", records.status),
        ("Trimtab", manifest.trimtab),
        ("commit", f"{commit}, with changes of its own" if manifest.git_dirty else commit),
        ("config hash", manifest.config_hash),
        ("seed", str(manifest.seed)),
        ("data", f"{manifest.data.name}, fingerprint {manifest.data.fingerprint}"),
    ]
    if manifest.model is not None:
        rows.append(("model", f"{manifest.model.parameters:,} parameters, {manifest.model.trained:,} of them trained"))
        rows.append(("model's fingerprint", manifest.model.fingerprint or "not recorded"))
    rows += [(f"environment: {name}", _plain(value)) for name, value in manifest.environment.items()]
    return tuple(rows)


def _plain(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _files(records: Records) -> Table:
    rows = [(name, words, "yes" if (records.folder / name).exists() else "no") for name, words in FILES.items()]
    for name, stage in (
        *records.stages.items(),
        *((f"ablation/{name}", stage) for name, stage in records.cells.items()),
    ):
        ended = f"{counted(len(stage.candidates), 'candidate')}, {counted(len(stage.steps), 'step')}"
        rows.append((f"stages/{name}", ended, "yes"))
    memories = records.folder / "memories"
    kept = sum(1 for place in memories.iterdir() if place.is_dir()) if memories.is_dir() else 0
    rows.append(("memories", f"{kept:,}, a folder each", "yes" if kept else "no"))
    return Table(
        "Files", ("file", "what it holds", "is it there"), tuple(rows), words=frozenset({0, 1, 2}), folded=True
    )


def _events(records: Records) -> list[Block]:
    skipped = [str(event.get("reason", "")) for event in records.events if event.get("kind") == "pair_skipped"]
    others = [event for event in records.events if event.get("kind") != "pair_skipped"]
    blocks: list[Block] = []
    if skipped:
        rows = tuple((str(number), clipped(why)) for number, why in enumerate(skipped, start=1))
        blocks.append(Table("Pairs left out", ("number", "why"), rows, words=frozenset({1}), folded=len(rows) > 8))
    else:
        blocks.append(Text("No pair was left out."))
    if others:
        rows = tuple((str(event.get("kind", "")), _rest(event)) for event in others)
        blocks.append(Table("Events", ("kind", "what"), rows, words=frozenset({0, 1}), folded=len(rows) > 8))
    return blocks


def _rest(event: dict[str, Any]) -> str:
    told = str(event.get("reason") or "")
    rest = {key: value for key, value in event.items() if key not in ("kind", "reason") and value is not None}
    return clipped(" · ".join(filter(None, (told, ", ".join(f"{key} {value}" for key, value in rest.items())))))

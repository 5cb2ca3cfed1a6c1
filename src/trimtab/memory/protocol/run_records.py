"""The records of a memory run: manifest and pairs at the start, metrics and hashes at the end, and checks on resuming."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.config import RunError, config_hash
from trimtab.config.yaml_file import dump_yaml
from trimtab.evidence import wilson_interval
from trimtab.memory.analysis.disturbances import disturbance_names
from trimtab.memory.config import MemoryConfig
from trimtab.memory.kind import MEMORY
from trimtab.memory.protocol.analysis_stage import robustness_shares
from trimtab.memory.protocol.parts import RunParts
from trimtab.memory.protocol.solving import DONE, RECORDS
from trimtab.memory.protocol.stages import solved_pairs
from trimtab.records import (
    Manifest,
    RunDirectory,
    Summary,
    code_state,
    environment,
    new_run_id,
    now,
    numeric_differences,
    read_rows,
)
from trimtab.records.atomic import write_bytes, write_text
from trimtab.records.hashing import Seal, seal_of
from trimtab.records.integrity import SEALS, differing, read_seals, write_seals
from trimtab.records.jsonl import encode_row
from trimtab.records.memory_rows import MEMORY_CONFIG, CandidateRow, EngineStepRow
from trimtab.version import __version__

PAIRS = "pairs.jsonl"
_CHANGING = {"events.jsonl", "gates.json", "memory.yaml", "manifest.json", "summary.json", SEALS}
"""Files that change during a run; all others are written once."""

_CHANGEABLE = {"question", "threads", "device", "stages", "gates", "ablations", "landscape_pairs"}
"""Keys of the config that may change when a run is continued with --accept-changes."""


def write_manifest(run: RunDirectory, parts: RunParts, command: Sequence[str]) -> None:
    """Write the manifest of a new run; the first of its files, because a folder with other files and no manifest is refused."""
    commit, dirty = code_state()
    Manifest.model_validate(
        {
            "run_id": new_run_id(),
            "created_at": now(),
            "git_commit": commit,
            "git_dirty": dirty,
            "hooks": [],
            "command": list(command),
            "trimtab": __version__,
            **_fields(parts),
        }
    ).write(run.manifest_path)


def write_inputs(run: RunDirectory, parts: RunParts) -> None:
    """Write the resolved config and the pairs where they are missing: at the start, or after a start that was killed."""
    if not (run.path / MEMORY_CONFIG).exists():
        write_config(run.path, parts.config)
    if not (run.path / PAIRS).exists():
        rows = [
            {
                "pair": pair.pair.id,
                "index": index,
                "question": pair.pair.question,
                "answer": pair.pair.answer,
                "question_tokens": len(pair.question),
                "answer_tokens": len(pair.answer),
                "metadata": dict(pair.pair.metadata),
            }
            for index, pair in enumerate(parts.pairs)
        ]
        write_bytes(run.path / PAIRS, b"".join(map(encode_row, rows)))


def write_config(folder: Path, config: MemoryConfig) -> None:
    """Write the resolved config."""
    write_text(folder / MEMORY_CONFIG, dump_yaml(config.plain))


def fixed_changes(recorded: Manifest, parts: RunParts) -> list[str]:
    """Changes that a run can never continue with: all its stages use one model, one set of pairs and one solver."""
    current = parts.config.plain
    keys = [
        key
        for key in current
        if key not in _CHANGEABLE and key in recorded.config and current[key] != recorded.config[key]
    ]
    return [f"the config's {key}" for key in keys] + [
        change for change in changes(recorded, parts) if change in ("the pairs", "the model's weights")
    ]


def changes(recorded: Manifest, parts: RunParts) -> list[str]:
    """What the run depends on and has changed since it started, one phrase each."""
    fields = _fields(parts)
    changed = []
    if recorded.config_hash != fields["config_hash"]:
        changed.append("the config")
    if recorded.data.fingerprint != fields["data"]["fingerprint"]:
        changed.append("the pairs")
    if recorded.model is None or recorded.model.fingerprint != fields["model"]["fingerprint"]:
        changed.append("the model's weights")
    if recorded.environment.get("source_hash") != fields["environment"]["source_hash"]:
        changed.append("Trimtab's code")
    numeric = numeric_differences(recorded.environment, fields["environment"])
    return changed + [f"{key}: {a!r} then, {b!r} now" for key, a, b in numeric]


def refuse_changes(folder: Path, changed: Sequence[str], *, fixed: bool = False) -> None:
    """Raise a `RunError` that names the changes; `fixed` says that --accept-changes does not allow them."""
    if fixed:
        advice = "Its results would be mixed with those of a different run. Undo the change, or choose another --out."
    else:
        advice = (
            "Continuing would not reproduce the original run. Undo the change, choose another --out, or continue with "
            "--accept-changes."
        )
    raise RunError(
        f"The memory run in {folder} was started under other conditions: {'; '.join(changed)} changed. {advice}"
    )


def refuse_altered(folder: Path, summary: Summary | None) -> None:
    """Raise `RunError` if a finished file was changed after the run wrote it. A missing file is made again."""
    seals = read_seals(folder) if summary is None else summary.records
    wrong = differing(folder, {name: seal for name, seal in seals.items() if (folder / name).exists()})
    if wrong:
        raise RunError(
            f"The memory run in {folder} cannot continue, because records were changed after it wrote them: {'; '.join(wrong)}. "
            "Restore them from a copy, or remove those files to have them made again."
        )


def seal_finished(folder: Path) -> None:
    """Record the hash of every file that was finished since the last call, so that later changes are detected."""
    recorded = read_seals(folder)
    finished = {path.relative_to(folder).as_posix(): path for path in _finished_files(folder)}
    seals = {name: recorded[name] if name in recorded else seal_of(path) for name, path in finished.items()}
    if seals != recorded:
        write_seals(folder, seals)


def all_seals(folder: Path) -> dict[str, Seal]:
    """The hash of every file of records, for the summary."""
    seal_finished(folder)
    changing = (folder / name for name in sorted(_CHANGING - {"summary.json", SEALS}))
    unfinished = (path for path in _stage_rows(folder) if not (path.parent / DONE).exists())
    others = [path for path in (*changing, *unfinished) if path.exists()]
    return read_seals(folder) | {path.relative_to(folder).as_posix(): seal_of(path) for path in others}


def _finished_files(folder: Path) -> list[Path]:
    """The finished files: those of the run, and the rows of finished stages."""
    own = [path for pattern in ("*.jsonl", "*.json") for path in folder.glob(pattern) if path.name not in _CHANGING]
    return sorted([*own, *(path for path in _stage_rows(folder) if (path.parent / DONE).exists())])


def _stage_rows(folder: Path) -> list[Path]:
    return [path for name in RECORDS for path in folder.glob(f"stages/**/{name}")]


def metrics(folder: Path, parts: RunParts) -> dict[str, Any]:
    """The metrics of the stages that have run."""
    result: dict[str, Any] = {"pairs": len(parts.pairs), "skipped": parts.source.left_out + len(parts.skipped)}
    for stage, planned in _planned(folder, parts).items():
        path = folder / "stages" / stage / "candidates.jsonl"
        if path.exists() and (rows := read_rows(path, CandidateRow)):
            # During a stage mostly solved pairs have finished, so the share is of all planned pairs.
            pairs = planned or len({row["pair"] for row in rows})
            result[stage] = _share(len(solved_pairs(rows)), pairs) | {
                "pair_steps": sum(row["steps"] for row in rows) / pairs
            }
    # If no pair was solved, there is no memory to decode or disturb.
    none_solved = "joint" in result and not result["joint"]["solved"]
    bf16, listed = parts.config.solve.precision == "bf16", parts.config.stages
    if (path := folder / "generation.jsonl").exists() or (none_solved and "generation" in listed):
        rows = read_rows(path) if path.exists() else []
        for precision in ("fp32", "bf16") if bf16 else ("fp32",):
            own = [row for row in rows if row["precision"] == precision and row.get("solved", True)]
            bad = {row["pair"] for row in own if row["verdict"] != "pass"}
            result[f"pass_{precision}"] = _share(len({row["pair"] for row in own}) - len(bad), len(parts.pairs))
    robust = robustness_shares(folder)
    if robust:
        result["robustness"] = robust
    if robust or (none_solved and "analysis" in listed):
        # A share of all pairs: an unsolved pair is not recalled under any disturbance.
        share = result["joint"]["share"]
        result["recalled"] = {name: share * robust.get(name, 0.0) for name in disturbance_names(bf16=bf16)}
    result["seconds"] = {
        str(path.parent.relative_to(folder / "stages")): sum(row["seconds"] for row in read_rows(path, EngineStepRow))
        for path in sorted(folder.glob("stages/**/steps.jsonl"))
    }
    return result


def _planned(folder: Path, parts: RunParts) -> dict[str, int]:
    """The stages that run the solver, with their planned numbers of pairs; 0 if only the rows show it."""
    single = len(parts.pairs[: parts.config.single_pairs])
    counterfactual = folder / "baselines_counterfactual.jsonl"
    return {
        "single_question": single,
        "single_answer": single,
        "joint": len(parts.pairs),
        "joint_counterfactual": len(read_rows(counterfactual)) if counterfactual.exists() else 0,
        "joint_paraphrases": 0,
    }


def _fields(parts: RunParts) -> dict[str, Any]:
    config = parts.config
    assert isinstance(config.threads, int)
    return {
        "kind": MEMORY.name,
        "config_hash": config_hash(config),
        "config": config.plain,
        "seed": config.seed,
        "data": {"name": config.pairs.name, "fingerprint": parts.source.fingerprint},
        "model": {
            "parameters": sum(parameter.numel() for parameter in parts.network.parameters()),
            "trained": 0,
            "fingerprint": parts.network.fingerprint,
        },
        "environment": environment(config.threads, config.solve.precision, config.device),
    }


def _share(hits: int, trials: int) -> dict[str, Any]:
    low, high = wilson_interval(hits, trials)
    return {"solved": hits, "pairs": trials, "share": hits / trials, "low": low, "high": high}


def share_of(rows: Sequence[Mapping[str, Any]], pairs: int) -> dict[str, Any]:
    """The solved share of a stage's pairs, with Wilson's interval."""
    return _share(len(solved_pairs(rows)), pairs)

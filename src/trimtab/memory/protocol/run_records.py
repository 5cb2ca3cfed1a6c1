"""What a memory run tells of itself: its manifest and pairs at the start, its figures at the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.config import RunError, config_hash
from trimtab.config.yaml_file import dump_yaml
from trimtab.evidence import wilson_interval
from trimtab.memory.analysis.disturbing import names
from trimtab.memory.config import MemoryConfig
from trimtab.memory.kind import MEMORY
from trimtab.memory.protocol.analysis_stage import analysed
from trimtab.memory.protocol.parts import Opened
from trimtab.memory.protocol.solving import DONE, RECORDS
from trimtab.memory.protocol.stages import solved
from trimtab.records import (
    Manifest,
    RunDirectory,
    Summary,
    environment,
    git_state,
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

_GROWING = {"events.jsonl", "gates.json", "memory.yaml", "manifest.json", "summary.json", SEALS}
"""Files that change while a run goes on; the others are written once."""

_FREE = {"question", "threads", "device", "stages", "gates", "ablations", "landscape_pairs"}
"""Keys of the config that may change within a run, if the user accepts it."""


def begin(run: RunDirectory, opened: Opened, command: Sequence[str]) -> None:
    """Write the resolved config, the pairs and the manifest of a new run."""
    commit, dirty = git_state(Path(__file__).parent)
    write_config(run.path, opened.config)
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
        for index, pair in enumerate(opened.pairs)
    ]
    write_bytes(run.path / "pairs.jsonl", b"".join(map(encode_row, rows)))
    Manifest.model_validate(
        {
            "run_id": new_run_id(),
            "created_at": now(),
            "git_commit": commit,
            "git_dirty": dirty,
            "hooks": [],
            "command": list(command),
            "trimtab": __version__,
            **_fields(opened),
        }
    ).write(run.manifest_path)


def write_config(folder: Path, config: MemoryConfig) -> None:
    """Write the resolved config."""
    write_text(folder / MEMORY_CONFIG, dump_yaml(config.plain))


def unacceptable(then: Manifest, opened: Opened) -> list[str]:
    """What a run cannot go on under, as its stages are of one model, one set of pairs and one way to solve them."""
    now = opened.config.plain
    keys = [key for key in now if key not in _FREE and key in then.config and now[key] != then.config[key]]
    return [f"the config's {key}" for key in keys] + [
        change for change in changes(then, opened) if change in ("the pairs", "the model's weights")
    ]


def changes(then: Manifest, opened: Opened) -> list[str]:
    """What a run depends on that is not what it was, each as one phrase."""
    fields = _fields(opened)
    found = []
    if then.config_hash != fields["config_hash"]:
        found.append("the config")
    if then.data.fingerprint != fields["data"]["fingerprint"]:
        found.append("the pairs")
    if then.model is None or then.model.fingerprint != fields["model"]["fingerprint"]:
        found.append("the model's weights")
    if then.environment.get("source_hash") != fields["environment"]["source_hash"]:
        found.append("Trimtab's code")
    numeric = numeric_differences(then.environment, fields["environment"])
    return found + [f"{key}: {a!r} then, {b!r} now" for key, a, b in numeric]


def refuse(folder: Path, found: Sequence[str], *, for_good: bool = False) -> None:
    """Raise `RunError` that names what has changed; `for_good` where --accept-changes is no way out."""
    way_out = "." if for_good else ", or go on with --accept-changes."
    reason = (
        "What it has would be mixed with something else"
        if for_good
        else "Continuing would not reproduce the original run"
    )
    raise RunError(
        f"The memory run in {folder} was begun under other conditions: {'; '.join(found)} changed. {reason}. Undo the change, "
        f"{'or ' if for_good else ''}choose another --out{way_out}"
    )


def refuse_altered(folder: Path, summary: Summary | None) -> None:
    """Raise `RunError` where a part that has ended is not as the run wrote it. A missing part is made anew."""
    seals = read_seals(folder) if summary is None else summary.records
    wrong = differing(folder, {name: seal for name, seal in seals.items() if (folder / name).exists()})
    if wrong:
        raise RunError(
            f"The memory run in {folder} cannot go on with records that were changed after it wrote them: {'; '.join(wrong)}. "
            "Restore them from a copy, or remove those files: their parts are then made anew."
        )


def seal_parts(folder: Path) -> None:
    """Keep the hash of every part that has ended since, so that a later change of it is seen."""
    known = read_seals(folder)
    parts = {path.relative_to(folder).as_posix(): path for path in _parts(folder)}
    seals = {name: known[name] if name in known else seal_of(path) for name, path in parts.items()}
    if seals != known:
        write_seals(folder, seals)


def all_seals(folder: Path) -> dict[str, Seal]:
    """The hash of every file of records, for the summary."""
    seal_parts(folder)
    growing = (folder / name for name in sorted(_GROWING - {"summary.json", SEALS}))
    unended = (path for path in _stage_rows(folder) if not (path.parent / DONE).exists())
    others = [path for path in (*growing, *unended) if path.exists()]
    return read_seals(folder) | {path.relative_to(folder).as_posix(): seal_of(path) for path in others}


def _parts(folder: Path) -> list[Path]:
    """The files that are whole: those of the run, and the rows of the stages that have ended."""
    own = [path for pattern in ("*.jsonl", "*.json") for path in folder.glob(pattern) if path.name not in _GROWING]
    return sorted([*own, *(path for path in _stage_rows(folder) if (path.parent / DONE).exists())])


def _stage_rows(folder: Path) -> list[Path]:
    return [path for name in RECORDS for path in folder.glob(f"stages/**/{name}")]


def metrics(folder: Path, opened: Opened) -> dict[str, Any]:
    """The figures of what has been done."""
    found: dict[str, Any] = {"pairs": len(opened.pairs), "skipped": opened.reading.left_out + len(opened.skipped)}
    for stage, planned in _planned(folder, opened).items():
        path = folder / "stages" / stage / "candidates.jsonl"
        if path.exists() and (rows := read_rows(path, CandidateRow)):
            # While a stage is under way, those that have ended are mostly the solved ones: all that were planned count.
            pairs = planned or len({row["pair"] for row in rows})
            found[stage] = _share(len(solved(rows)), pairs) | {"pair_steps": sum(row["steps"] for row in rows) / pairs}
    # Where nothing was solved there is no memory that could be decoded or disturbed.
    nothing = "joint" in found and not found["joint"]["solved"]
    narrow, listed = opened.config.solve.precision == "bf16", opened.config.stages
    if (path := folder / "generation.jsonl").exists() or (nothing and "generation" in listed):
        rows = read_rows(path) if path.exists() else []
        for precision in ("fp32", "bf16") if narrow else ("fp32",):
            own = [row for row in rows if row["precision"] == precision and row.get("solved", True)]
            bad = {row["pair"] for row in own if row["verdict"] != "pass"}
            found[f"pass_{precision}"] = _share(len({row["pair"] for row in own}) - len(bad), len(opened.pairs))
    robust = analysed(folder)
    if robust:
        found["robustness"] = robust
    if robust or (nothing and "analysis" in listed):
        # Of all pairs: one that was not solved is not recalled, however little is asked of it.
        share = found["joint"]["share"]
        found["recalled"] = {name: share * robust.get(name, 0.0) for name in names(bf16=narrow)}
    found["seconds"] = {
        str(path.parent.relative_to(folder / "stages")): sum(row["seconds"] for row in read_rows(path, EngineStepRow))
        for path in sorted(folder.glob("stages/**/steps.jsonl"))
    }
    return found


def _planned(folder: Path, opened: Opened) -> dict[str, int]:
    """The stages that solve candidates, and of how many pairs; 0 where only the rows tell."""
    single = len(opened.pairs[: opened.config.single_pairs])
    counterfactual = folder / "baselines_counterfactual.jsonl"
    return {
        "single_question": single,
        "single_answer": single,
        "joint": len(opened.pairs),
        "joint_counterfactual": len(read_rows(counterfactual)) if counterfactual.exists() else 0,
        "joint_paraphrases": 0,
    }


def _fields(opened: Opened) -> dict[str, Any]:
    config = opened.config
    assert isinstance(config.threads, int)
    return {
        "kind": MEMORY.name,
        "config_hash": config_hash(config),
        "config": config.plain,
        "seed": config.seed,
        "data": {"name": config.pairs.name, "fingerprint": opened.reading.fingerprint},
        "model": {
            "parameters": sum(parameter.numel() for parameter in opened.network.parameters()),
            "trained": 0,
            "fingerprint": opened.network.fingerprint,
        },
        "environment": environment(config.threads, config.solve.precision, config.device),
    }


def _share(hits: int, trials: int) -> dict[str, Any]:
    low, high = wilson_interval(hits, trials)
    return {"solved": hits, "pairs": trials, "share": hits / trials, "low": low, "high": high}


def share_of(rows: Sequence[Mapping[str, Any]], pairs: int) -> dict[str, Any]:
    """The solved share of a stage's pairs, with Wilson's interval."""
    return _share(len(solved(rows)), pairs)

"""A memory run's folder written by hand, so that every figure of its report is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.records.runs import manifest, summary
from tests.reports.memory.measured import PAIRS, SOLVED, ablations, geometry, landscape, leaks, name, robustness
from trimtab.evidence import wilson_interval
from trimtab.records import DataRecord
from trimtab.records.jsonl import encode_row

QUESTION = "Does one set of 32 vectors make a frozen model say a question and its answer?"
PRECISIONS = ("bf16", "fp32")


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode_row, rows)))


def config(**changes: Any) -> dict[str, Any]:
    result = {
        "question": QUESTION,
        "seed": 0,
        "model": {"name": "smollm2-135m", "path": None},
        "pairs": {"name": "squad", "path": "shared/data/squad.json"},
        "count": PAIRS,
        "vectors": 32,
        "layout": "two_sequences",
        "solve": {"margin": 1.0, "precision": "bf16"},
    }
    return result | changes


def curve(shape: str, steps: int) -> list[list[Any]]:
    at = np.unique(np.linspace(0, steps, 25).round().astype(int))
    share = at / max(steps, 1)
    forms = {
        "healthy": 4.5 * np.exp(-6 * share),
        "plateau": np.where(share < 0.6, 3.9 - 0.3 * share, 3.7 * np.exp(-14 * (share - 0.6))),
        "oscillating": 2.0 + np.cos(18 * share),
        "flat": 4.0 - 0.1 * share,
        "diverging": 3.0 + 5 * share**2,
    }
    return [[int(step), float(loss), float(0.8 * loss)] for step, loss in zip(at, forms[shape], strict=True)]


def candidate(index: int, restart: int, status: str, shape: str, **changes: Any) -> dict[str, Any]:
    solved = status == "solved"
    steps = 24 + 2 * index if solved else 500
    row = {
        "pair": name(index),
        "restart": restart,
        "status": status,
        "steps": steps,
        "seconds": 0.05 * steps,
        "lenient_step": steps // 2 if solved else None,
        "loss": {"question": 0.04, "answer": 0.02} if solved else {"question": 3.0, "answer": 1.5},
        "margin": 1.0 + 0.05 * index if solved else -2.0,
        "loss_at_start": {"question": 4.6, "answer": 3.7},
        "start_converged": False,
        "start_lenient": index % 4 != 0,
        "curve": curve(shape, steps),
        "shape": shape,
    }
    return row | changes


def joint(solved: int = SOLVED) -> list[dict[str, Any]]:
    rows = []
    shapes = ("flat", "oscillating", "diverging")
    for index in range(PAIRS):
        if index >= solved:
            rows += [candidate(index, start, "unsolved", shapes[start]) for start in range(3)]
        elif index % 10 == 9:
            rows += [
                candidate(index, 0, "unsolved", "flat", lenient_step=400),
                candidate(index, 1, "solved", "plateau"),
            ]
        else:
            rows.append(candidate(index, 0, "solved", "plateau" if index % 5 == 3 else "healthy"))
    return rows


def single(side: str) -> list[dict[str, Any]]:
    other = "answer" if side == "question" else "question"
    rows = []
    for index in range(PAIRS):
        row = candidate(index, 0, "solved", "healthy", steps=12 + index, seconds=0.2 + 0.02 * index)
        row |= {"loss": {side: 0.03, other: None}, "loss_at_start": {side: 4.6, other: None}}
        row["curve"] = [
            [s, q if side == "question" else None, a if side == "answer" else None] for s, q, a in row["curve"]
        ]
        rows.append(row)
    return rows


def steps(count: int, in_flight: int, seconds: float) -> list[dict[str, Any]]:
    return [
        {"step": n, "in_flight": in_flight, "positions": 60 * in_flight, "seconds": seconds, "mean_loss": 4.0 / n, "solved": 0,
         "waiting": 0}
        for n in range(1, count + 1)
    ]  # fmt: skip


def write_stage(folder: Path, stage: str, rows: list[dict[str, Any]], engine: list[dict[str, Any]]) -> None:
    write_rows(folder / "stages" / stage / "candidates.jsonl", rows)
    write_rows(folder / "stages" / stage / "steps.jsonl", engine)


def gate(kind: str, hits: int, threshold: float, message: str = "", **changes: Any) -> dict[str, Any]:
    low, high = wilson_interval(hits, PAIRS)
    row = {"gate": kind, "share": hits / PAIRS, "low": low, "high": high, "threshold": threshold,
           "passed": hits / PAIRS >= threshold, "message": message}  # fmt: skip
    return row | changes


def make_begun(folder: Path, **changes: Any) -> Path:
    """A run that has read its pairs and measured nothing."""
    folder.mkdir(parents=True)
    (folder / "memory.yaml").write_text(yaml.safe_dump(config(**changes), sort_keys=False))
    begun = manifest(
        kind="memory",
        config=config(**changes),
        data=DataRecord(name="squad", fingerprint="5cad"),
        git_commit="abc123",
        git_dirty=False,
        hooks=[],
        command=["trimtab", "memory", "run", "configs/memory_squad.yaml", "--out", "a folder"],
    )
    begun.write(folder / "manifest.json")
    write_rows(folder / "pairs.jsonl", [pair(index) for index in range(PAIRS)])
    skipped = "dev.json: 12 questions without an answer were skipped"
    write_rows(folder / "events.jsonl", [{"kind": "pair_skipped", "reason": skipped, "time": "T"}])
    return folder


def pair(index: int, **changes: Any) -> dict[str, Any]:
    row = {"pair": name(index), "index": index, "question": f"In what country is place {index}?", "answer": f"Country {index}",
           "question_tokens": 9 + index % 7, "answer_tokens": 3 + index % 3, "metadata": {"title": "Places"}}  # fmt: skip
    return row | changes


def baseline(index: int, **changes: Any) -> dict[str, Any]:
    row = {"pair": name(index), "random": {"question": 4.6 + 0.01 * index, "answer": 3.7},
           "random_token": {"question": 5.0, "answer": 4.2}, "context": {"question": 2.4, "answer": 1.6}}  # fmt: skip
    return row | changes


def control(index: int) -> dict[str, Any]:
    none = {"question": 5.2, "answer": 4.4, "question_exact": False, "answer_exact": False}
    return {"pair": name(index), "other": none, "swapped": none | {"question": 6.1}}


def make_memory(folder: Path, **changes: Any) -> Path:
    """A run in which everything was measured; `changes` are of its config."""
    make_begun(folder, **changes)
    write_rows(folder / "baselines.jsonl", [baseline(index) for index in range(PAIRS)])
    write_stage(folder, "single_question", single("question"), steps(60, 20, 0.5))
    write_stage(folder, "single_answer", single("answer"), steps(40, 20, 0.4))
    write_stage(folder, "joint", joint(), steps(300, 16, 0.8))
    write_stage(folder, "joint_counterfactual", joint(36), steps(320, 16, 0.8))
    write_stage(folder, "joint_paraphrases", joint(30), steps(400, 12, 1.2))
    write_stage(folder, "joint_again", joint(3), steps(50, 3, 0.2))
    for count in (1, 8):
        write_stage(folder, f"ablation/vectors-{count}", joint(4 * count), steps(100, 16, 0.5))
    write_json(folder / "gates.json", [
        gate("single_question", 40, 0.7, "Go on to the joint stage."), gate("single_answer", 40, 0.7),
        gate("early", 38, 0.2), gate("joint", 38, 0.3),
    ])  # fmt: skip
    write_rows(folder / "controls.jsonl", [control(index) for index in range(PAIRS)])
    write_rows(folder / "generation.jsonl", generation())
    write_json(folder / "ablations.json", ablations())
    write_rows(folder / "robustness.jsonl", robustness())
    write_json(folder / "leaks.json", leaks())
    write_json(folder / "geometry.json", geometry())
    write_json(folder / "landscape.json", landscape())
    for index in range(SOLVED):
        (folder / "memories" / name(index)).mkdir(parents=True)
    seconds = {"load": 2.5, "baselines": 11.0, "single_question": 30.0, "joint": 240.0, "ablation": {"vectors": 100.0}}
    over = summary(steps=700, metrics={"pairs": PAIRS, "skipped": 12, "seconds": seconds, "peak_device_mb": 0}, seconds=612.0,
                   weights_sha256=None, tokens_per_second=None, peak_rss_mb=2345.0)  # fmt: skip
    over.write(folder / "summary.json")
    return folder


def generation() -> list[dict[str, Any]]:
    """Both precisions: pair 5 says its answer in part, pair 6 fails; in fp32 pair 7 fails too. Unsolved ones fail."""
    rows = []
    for precision in PRECISIONS:
        for index in range(PAIRS):
            own = pair(index)
            for side in ("question", "answer"):
                said, f1, verdict = own[side], 1.0, "pass"
                if index == 5 and side == "answer":
                    said, f1, verdict = "Country", 2 / 3, "partial"
                if index == 6 or index >= SOLVED or (index == 7 and precision == "fp32"):
                    said, f1, verdict = "the the the\nthe", 0.0, "fail"
                exact = said == own[side]
                rows.append({"pair": name(index), "side": side, "precision": precision, "expected": own[side], "decoded": said,
                             "tokens_exact": exact, "normalised": exact, "f1": f1, "verdict": verdict})  # fmt: skip
    return rows


def make_stopped(folder: Path) -> Path:
    """A run that the first gate stopped, as on a model of random weights."""
    make_begun(folder)
    write_rows(folder / "baselines.jsonl", [baseline(index) for index in range(PAIRS)])
    rows = [candidate(index, 0, "unsolved", "flat", loss={"question": 4.0, "answer": None}) for index in range(PAIRS)]
    for row in rows:
        row["curve"] = [[step, question, None] for step, question, _ in row["curve"]]
    write_stage(folder, "single_question", rows, steps(500, 16, 0.5))
    message = "Look at the learning rate and at whether the model can say anything at all; --no-gates goes on."
    write_json(folder / "gates.json", [gate("single_question", 0, 0.7, message)])
    summary(status="stopped", steps=500, metrics={}, weights_sha256=None, tokens_per_second=None).write(
        folder / "summary.json"
    )
    return folder

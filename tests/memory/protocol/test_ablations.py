"""Ablation cells: their folders and baselines, and the smallest sufficient number of vectors."""

import json
from pathlib import Path

import pytest

from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.memory.config import MemoryConfig
from trimtab.memory.protocol.ablations import smallest_sufficient
from trimtab.memory.run import run_memory
from trimtab.records import read_rows


def test_a_number_of_vectors_is_sufficient_only_if_all_larger_ones_are() -> None:
    assert smallest_sufficient({1: 0.2, 2: 0.6, 4: 0.4, 8: 0.5, 16: 0.9}, 0.5) == 8
    assert smallest_sufficient({16: 0.9, 2: 0.6, 1: 0.5}, 0.5) == 1  # the order in the config does not matter
    assert smallest_sufficient({4: 1.0, 8: 1.0, 16: 0.9}, 0.95) is None and smallest_sufficient({}, 0.5) is None


def test_every_cell_has_a_folder_and_a_baseline_of_its_own(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("".join(f'{{"question": "{q}", "answer": "{a}"}}\n' for q, a in ("an", "bo")))
    settings = {
        "threads": 1,
        "model": {"name": "pretrained", "path": str(model_folder)},
        "pairs": {"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")},
        "count": 2,
        "vectors": 12,
        "solve": {"steps": 3, "restarts": 1, "precision": "fp32", "positions": 60},
        "gates": {"joint": 0.0},
        "stages": ["baselines", "joint", "ablations"],
        "ablations": {"pairs": 2, "vectors": [1, 12], "learning_rate": [0.1, 0.1000001]},
    }
    run_memory(resolve_root(MemoryConfig, settings, Source("memory.yaml")), tmp_path / "run")
    folders = {path.name for path in (tmp_path / "run/stages/ablation").iterdir()}
    assert folders == {"vectors-1", "vectors-12", "learning_rate-0.1", "learning_rate-0.1000001"}
    random = {row["pair"]: sum(row["random"].values()) for row in read_rows(tmp_path / "run/baselines.jsonl")}
    few, many = json.loads((tmp_path / "run/ablations.json").read_text())["cells"][:2]
    for cell, alike in ((few, False), (many, True)):
        rows = read_rows(tmp_path / f"run/stages/ablation/vectors-{cell['value']}/candidates.jsonl")
        ratio = sum(sum(row["loss"].values()) / random[row["pair"]] for row in rows) / len(rows)
        assert (cell["mean_loss_ratio"] == pytest.approx(ratio, abs=1e-6)) == alike

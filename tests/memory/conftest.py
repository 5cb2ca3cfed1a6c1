"""The config of a small memory run."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def plain(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    rows = [{"question": chr(97 + index), "answer": chr(110 + index)} for index in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "threads": 1,
        "model": {"name": "pretrained", "path": str(model_folder)},
        "pairs": {"name": "jsonl", "path": str(path)},
        "count": 5,
        "vectors": 12,
        "single_pairs": 2,
        "solve": {
            "steps": 40,
            "restarts": 2,
            "margin": 0.2,
            "lr": 0.5,
            "precision": "fp32",
            "checkpoint_every": 3,
            "positions": 60,
        },
        "gates": {"single": 0.0, "joint": 0.0},
        "stages": ["baselines", "single", "joint", "counterfactual", "generation", "ablations", "analysis"],
        "ablations": {
            "pairs": 3,
            "vectors": [2, 12],
            "learning_rate": [0.1],
            "models": [{"name": "untrained", "path": str(model_folder), "seed": 3}],
        },
        "landscape_pairs": 1,
    }

"""Predictions written by hand into an experiment's folder: one arm's confidences are true, the other's too high."""

import json
from pathlib import Path
from typing import Any

import numpy as np

ITEMS = 60
OVER = 0.15
"""By how much the treatment's confidences are too high."""


def answers(seed: int, over: float, items: int = ITEMS, **changes: Any) -> list[dict[str, Any]]:
    """The rows of one episode. Every item has three options; every fourth one's exact distribution is not known."""
    generator = np.random.default_rng(1000 + seed)
    rows = []
    for item in range(items):
        truth = np.sort(generator.dirichlet([4.0, 1.0, 0.5]))[::-1]
        own = truth.copy()
        own[0] = min(own[0] + over, 1.0)
        own[1:] *= (1 - own[0]) / truth[1:].sum()
        row = {
            "item": item,
            "prompt": f"question {item}",
            "answer": "nan",
            "response": "inf",
            "correct": bool(generator.random() < truth[0]),
            "confidence": float(own[0]),
            "agreement": float(generator.binomial(5, own[0]) / 5),
            "level": 1,
            "options": ["a", "b", "c"],
            "option_probabilities": own.tolist(),
            "true_probabilities": None if item % 4 == 0 else truth.tolist(),
        }
        rows.append({**row, **changes})
    return rows


def add_predictions(folder: Path, treatment: str = "guard", items: int = ITEMS, **changes: Any) -> Path:
    """Predictions of every episode of `make_experiment` that has run."""
    for arm, over in (("plain", 0.0), (treatment, OVER)):
        for seed in range(6):
            place = folder / f"episodes/{arm}/seed-{seed}"
            if (place / "manifest.json").exists():
                write_answers(place, answers(seed, over, items, **changes))
    return folder


def write_answers(place: Path, rows: list[dict[str, Any]]) -> None:
    (place / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

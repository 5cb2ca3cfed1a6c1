"""What a memory run measures once its pairs are solved, written by hand: ablations, robustness, leaks, geometry, landscape."""

import math
from typing import Any

import numpy as np

from trimtab.evidence import wilson_interval

PAIRS = 40
SOLVED = 38
"""Pairs 0 to 37 are solved, every tenth one at its second start; 38 and 39 never, in three starts."""


def name(index: int) -> str:
    return f"squad-{index:03d}"


def cell(ablation: str, value: Any, solved: int, pairs: int = 20, **changes: Any) -> dict[str, Any]:
    low, high = wilson_interval(solved, pairs)
    row = {"ablation": ablation, "value": value, "pairs": pairs, "solved": solved, "share": solved / pairs, "low": low, "high": high,
           "mean_steps": 400.0 - 15 * solved, "mean_loss_ratio": 0.6 - 0.028 * solved, "seconds": 100.0}  # fmt: skip
    return row | changes


def ablations() -> dict[str, Any]:
    sweep = {1: 0, 2: 3, 4: 11, 8: 17, 16: 19, 32: 20, 64: 20, 128: 20}
    cells = [cell("vectors", count, solved) for count, solved in sweep.items()]
    cells += [cell("learning_rate", rate, solved) for rate, solved in ((0.1, 14), (0.22, 20), (0.5, 12))]
    cells += [cell("paraphrases", False, 20), cell("paraphrases", True, 15)]
    cells += [cell("model", model, solved) for model, solved in (("smollm2-135m", 20), ("pythia-160m", 13))]
    return {"cells": cells, "k_thresholds": {"0.5": 4, "0.95": 16}}


NOISE = {0.02: 1.0, 0.05: 0.9, 0.1: 0.6, 0.2: 0.2}


def robustness() -> list[dict[str, Any]]:
    """Memory n, of margin 1 + n/20, passes a noise's draw when it is not among the least margins, each in one draw more.

    Every tenth one's draws of noise are decoded; at 20% the first draw of memory 10 says otherwise than its margins.
    """
    rows = []
    for index in range(SOLVED):
        margin = 1.0 + 0.05 * index
        about: dict[str, Any] = {"pair": name(index), "margin": margin}
        for level, share in NOISE.items():
            for draw in range(2):
                passed = index >= round((1 - share) * SOLVED) - 2 * draw
                rows.append({**about, "disturbance": "noise", "level": level, "passed": passed, "question_exact": passed,
                             "answer_exact": True, "draw": draw, "decoded": index % 10 == 0,
                             "lowest": 0.07 if (index, level, draw) == (10, 0.2, 0) else 0.5 if passed else -0.5})  # fmt: skip
        for kind, least in (("fp32", 0), ("bf16", 0), ("int8", 0), ("int4", 20)):
            passed = index >= least
            rows.append({**about, "disturbance": kind, "level": None, "passed": passed, "question_exact": passed,
                         "answer_exact": passed, "draw": 0, "decoded": False, "lowest": 0.5 if passed else -0.5})  # fmt: skip
    return rows


def leaks() -> dict[str, Any]:
    means = {
        "question": {"question": -58.0, "answer": -4.0, "none": -6.0},
        "answer": {"question": 1.5, "answer": -16.0, "none": -2.0},
        "counterfactual": {"question": 2.0, "answer": 3.0, "none": 1.0},
        "other": {"question": 1.8, "answer": 2.6, "none": 0.5},
    }
    bits = {
        text: {mode: {"mean": m, "low": m - 1.5, "high": m + 1.5} for mode, m in row.items()}
        for text, row in means.items()
    }
    tokens = [(9 + index % 7, 3 + index % 3) for index in range(SOLVED)]
    pairs = [
        {"pair": name(i), "bits": 6.0 * (q + a), "question_tokens": q, "answer_tokens": a}
        for i, (q, a) in enumerate(tokens)
    ]
    each = {"mean": 2.9, "low": 2.7, "high": 3.1}
    return {"bits": bits, "per_vector": {"bits_per_vector": each, "vectors": 32, "pairs": pairs}}


def geometry() -> dict[str, Any]:
    places = np.random.default_rng(0).normal(size=(12, 3)) + 3 * (np.arange(12)[:, None] // 4)
    distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1)).round(4).tolist()
    nearest = [
        {"pair": name(i), "vector": v, "token": f" word{i}\n", "cosine": 0.2 + 0.01 * i}
        for i in range(6)
        for v in (0, 31)
    ]
    return {
        "norms": {"vectors": [3.1, 3.6, 3.9, 4.3, 5.2], "vocabulary": [0.9, 1.4, 1.6, 1.9, 3.0]},
        "nearest": nearest,
        "between": {
            "same_pair": 0.31,
            "other_pair": 0.05,
            "within": 0.12,
            "distances": distances,
            "order": [name(i) for i in range(12)],
        },
    }


def landscape() -> dict[str, Any]:
    offsets = np.linspace(-1, 1, 21).round(3).tolist()
    lines = [
        {"pair": name(i), "direction": d, "offsets": offsets, "question": [0.04 + 4 * (1 + d) * o * o for o in offsets],
         "answer": [0.02 + 2 * (1 + i) * abs(o) for o in offsets]}
        for i in range(3) for d in range(2)
    ]  # fmt: skip
    plane = {
        "pair": name(0),
        "offsets": offsets,
        "loss": [[0.04 + 4 * a * a + 2 * b * b + a * b for b in offsets] for a in offsets],
    }
    positions = np.linspace(0, 1, 11).round(2).tolist()
    ways = [
        {"pair": name(i), "restarts": [0, 1], "positions": positions,
         "loss": [0.03 + (1 + i) * math.sin(math.pi * p) for p in positions]} for i in range(3)
    ]  # fmt: skip
    widths = [{"pair": name(i), "width": 0.2 + 0.01 * i if i else None} for i in range(10)]
    return {"lines": lines, "plane": plane, "paths": ways, "widths": widths, "rise": math.log(2)}

"""The experiments in `configs/`: they can show what they claim, and shortened, their reports are true to the records."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.test_run import QUIET
from tests.models.pretrained.folders import write
from tests.training.small_runs import ROOT
from trimtab.experiments import load_experiment, planned, run_experiment
from trimtab.records import RunDirectory, read_rows
from trimtab.reports.experiment import write_report
from trimtab.training.config import load_config, preset_path

CONFIGS = ROOT / "configs"
FAULT = "faults=[{name: random_labels, at: [40, 41, 42]}]"
SHORTER = ["seeds=3", "episode.steps=80", "episode.evaluate_every=40"]
STEERED = [*SHORTER, "noise_floor=2", "intervention_effects={steps: 8, at_most: 2}", "monitor.robust_window=12", FAULT]
TUNED = "tune={static: {over: {episode.optimizer.lr: [1.0e-3, 1.0e-2]}}}"
ASKED = ["seeds=3", "episode.steps=12", "episode.evaluate_every=12", "data.size=300", "data.validation=30",
         "model.layers=1", "model.width=32", "model.heads=2", "episode.batch_size=16"]  # fmt: skip
PRETRAINED = [
    "model.path={folder}",
    "data.task.path={rows}",
    "data.tokenizer={{name: character}}",
    "data.task.line_break='; '",
]
GSM8K = [*PRETRAINED, "seeds=3", "episode.steps=3", "episode.evaluate_every=3", "data.context=300", "data.validation=8",
         "episode.task_eval={{problems: 6, tokens: 8}}", "threads=1"]  # fmt: skip
MEMORY = [
    "model.path={bpe}", "pairs={{name: jsonl, path: {pairs}}}", "seeds=3", "count=3", "vectors=12", "solve.precision=fp32",
    "solve.steps=40", "solve.lr=0.5", "solve.positions=60",
]  # fmt: skip
SHORT = {
    "loss_comparison_arithmetic": [*ASKED, "episode.task_eval={problems: 20, tokens: 6}"],
    "calibration_urns": [*ASKED, "episode.task_eval={problems: 20, tokens: 8}"],
    "loss_comparison_gsm8k": GSM8K,
    "memory_margin": MEMORY,
    "demo": STEERED,
    "regime_controller": [*STEERED, TUNED],
    "lr_sensitivity": [*SHORTER, "factors={episode.optimizer.lr: [1.0e-3, 1.0e-1]}"],
    "fast_preset": [
        "arms={fast: {}, two_layers: {model.layers: 2}, tied_head: {model.tied: true}}",
        *("seeds=3", "episode.steps=10", "episode.evaluate_every=10", "episode.schedule.warmup=2"),
    ],
    "search_comparison": [
        "arms={random: {optimizer: {name: random}}, climb: {optimizer: {name: climb}}}",
        *(
            "seeds=3",
            "trials=4",
            "random_start=2",
            "confirm.seeds=2",
            "run.episode.steps=12",
            "run.episode.evaluate_every=12",
        ),
    ],
    "chaos": [
        *SHORTER,
        "factors={episode.optimizer.lr: [1.0e-3, 6.4e-2]}",
        "monitor.instruments=[{name: largest_exponent, every: 40, steps: 30, discard: 5}]",
    ],
}


def by_hand(name: str, out: Path, arm: str, seed: int) -> float:
    """The claimed metric of an episode, from its summary file or files."""
    place = out / "episodes" / arm / f"seed-{seed}"
    if name == "memory_margin":
        rows = [row for row in read_rows(place / "robustness.jsonl") if row["level"] == 0.05]
        return sum(row["passed"] for row in rows) / (3 * len(read_rows(place / "pairs.jsonl")))
    if name == "search_comparison":
        rows = read_rows(place / "events.jsonl")
        return float(np.mean([row["value"] for row in rows if row["kind"] == "confirmation"]))
    cells = sorted(path.parent for path in place.rglob("summary.json")) or [out / "episodes/none" / f"seed-{seed}"]
    answers = RunDirectory(cells[0]).predictions()
    if name.startswith("loss_comparison"):
        return float(np.mean([row["answer_loss"] for row in answers]))
    if name == "calibration_urns":
        return float(np.mean([divergence(row) for row in answers]))
    summaries = [RunDirectory(cell).summary() for cell in cells]
    metrics = [summary.metrics for summary in summaries if summary is not None]
    if name == "chaos":
        return float(np.mean([result["instruments"]["largest_exponent"]["value"] for result in metrics]))
    losses = np.array([result["val_loss"] for result in metrics])
    return float(losses[0] if len(losses) == 1 else np.mean(losses - losses.min()))


def divergence(row: dict[str, Any]) -> float:
    """KL(truth‖model) over the options of one answered problem, in nats."""
    pairs = zip(row["true_probabilities"], row["option_probabilities"], strict=True)
    return sum(p * math.log(p / q) for p, q in pairs if p)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> dict[str, str]:
    """Small random models, rows in the manner of GSM8K, and pairs, for the experiments that are shipped without them."""
    folder = tmp_path_factory.mktemp("gsm8k")
    write(folder / "model", "llama", vocab_size=99, max_position_embeddings=512)
    rows = [
        {
            "question": f"Ann has {a} pens and buys {b}. How many?",
            "answer": f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}\n#### {a + b}",
        }
        for a in range(2, 12)
        for b in range(2, 12)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = [{"question": chr(97 + index), "answer": chr(110 + index)} for index in range(6)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    return {
        "folder": str(folder / "model"),
        "rows": str(folder / "rows.jsonl"),
        "bpe": str(model_folder),
        "pairs": str(folder / "pairs.jsonl"),
    }


FILES = {
    "loss_comparison_gsm8k": PRETRAINED,
    "memory_margin": ["model.path={bpe}", "pairs={{name: jsonl, path: {pairs}}}"],
}
"""What an experiment asks for that is not shipped."""


def shortened(name: str, places: dict[str, str]) -> list[str]:
    return [text.format(**places) for text in SHORT[name]] if name in FILES else SHORT[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_its_report_is_true_to_the_records(tmp_path: Path, name: str, places: dict[str, str]) -> None:
    experiment = load_experiment(CONFIGS / f"{name}.yaml", shortened(name, places))
    result = run_experiment(experiment, tmp_path / "e", QUIET)
    write_report(tmp_path / "e")
    page = re.sub(r"\s+", " ", (tmp_path / "e/report.html").read_text())
    claims = [v for v in result["verdicts"] if v["p_adjusted"] is not None]
    assert [claim["treatment"] for claim in claims] == experiment.treatments
    for claim in claims:
        seeds = experiment.seed_list
        values = {
            arm: [by_hand(name, tmp_path / "e", arm, s) for s in seeds]
            for arm in (claim["baseline"], claim["treatment"])
        }
        differences = np.subtract(values[claim["treatment"]], values[claim["baseline"]])
        assert claim["mean_difference"] == pytest.approx(differences.mean(), abs=1e-9)
        assert claim["sd_difference"] == pytest.approx(differences.std(ddof=1), abs=1e-9)
        assert f"{differences.mean():+.4g}" in page or f"{differences.mean():.4g}" in page
        assert claim["sentence"].split(";")[0] in page


@pytest.mark.parametrize("name", SHORT)
def test_its_plan_can_show_what_it_claims(name: str, places: dict[str, str]) -> None:
    """With its own seeds, and with the files that it asks for."""
    files = [text.format(**places) for text in FILES.get(name, [])]
    experiment = load_experiment(CONFIGS / f"{name}.yaml", files)
    assert "Chance of 'superior'" in planned(experiment)
    metric = experiment.claim.metric.split(".")
    if metric[0] == "instruments":
        config = experiment.config(experiment.baseline_arm, 0, experiment.cells[0])
        assert metric[1] in {instrument.name for instrument in config.monitor.instruments}


def test_no_shipped_experiment_is_left_out() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml") if "\nclaim:" in path.read_text()} == set(SHORT)


def test_the_ablations_of_the_preset_fast_start_from_it() -> None:
    experiment = load_experiment(CONFIGS / "fast_preset.yaml", [])
    assert experiment.config("fast", 0, experiment.cells[0]) == load_config(
        preset_path("fast"), ["threads=1", "seed=0"]
    )

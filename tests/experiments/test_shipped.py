"""The experiments in `configs/`: they can show what they claim, and shortened, their reports are true to the records."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.test_run import QUIET
from tests.metacognition.recipe.test_run import config as thinking
from tests.models.pretrained.folders import write
from tests.training.small_runs import ROOT
from trimtab.experiments import load_experiment, planned, run_experiment
from trimtab.metacognition.recipe.run import run_thinking
from trimtab.records import RunDirectory, read_rows
from trimtab.reports.experiment import write_report
from trimtab.runtime.context import RunContext
from trimtab.training.config import load_config, preset_path

CONFIGS = ROOT / "configs"
FAULT = "faults=[{name: random_labels, at: [24, 25, 26]}]"
SHORTER = ["seeds=3", "episode.steps=48", "episode.evaluate_every=24", "episode.evaluation_windows=16"]
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
THINKING = [
    "seeds=3", "run.data.task={name: routes, hops: [0, 1, 2], nodes: 6, paths: 2}", "run.data.size=60", "run.data.validation=12",
    "run.data.context=40", "run.data.cuts={longest: 6}", "run.model.caps=[0, 3, 6]", "run.model.answer_room=3",
    "run.model.base={name: decoder, layers: 2, width: 16, heads: 2, ff: 32}", "run.episode.steps=6", "run.episode.batch_size=4",
    "run.episode.schedule={name: constant}", "run.episode.evaluate_every=6", "run.episode.evaluation_windows=4",
    "run.episode.task_eval.problems=4", "observe.problems=24", "layer.steps=4", "compare.problems=12", "compare.pricing=10",
]  # fmt: skip
SHORT = {
    "loss_comparison_arithmetic": [*ASKED, "episode.task_eval={problems: 20, tokens: 6}"],
    "calibration_urns": [*ASKED, "episode.task_eval={problems: 20, tokens: 8}"],
    "loss_comparison_gsm8k": GSM8K,
    "memory_margin": MEMORY,
    "demo": STEERED,
    "regime_controller": [*STEERED, TUNED],
    "learned_controller": [*SHORTER, "monitor.robust_window=12", FAULT],
    "learned_controller_ledger": [
        *SHORTER,
        "intervention_effects={steps: 8, at_most: 2}",
        "monitor.robust_window=12",
        "factors={faults: [[{name: random_labels, at: [40, 41]}], [{name: lr_jump, start: 50, length: 2}]]}",
    ],
    "lr_sensitivity": [*SHORTER, "factors={episode.optimizer.lr: [1.0e-3, 1.0e-1]}"],
    "fast_preset": [
        "arms={fast: {}, two_layers: {model.layers: 2}, tied_head: {model.tied: true}}",
        *(
            "seeds=3",
            "episode.steps=10",
            "episode.evaluate_every=10",
            "episode.schedule.warmup=2",
            "episode.evaluation_windows=16",
        ),
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
            "run.episode.evaluation_windows=16",
        ),
    ],
    "search_robustness": [
        "arms={middle: {}, tpe: {episode.optimizer.lr: 0.00973}}",
        *("seeds=3", "episode.steps=12", "episode.evaluate_every=12", "episode.schedule.warmup=2"),
    ],
    "policies": ["arms={random: {}, dla: {scheduler: {name: dla}}}", "seeds=3", "trials=4", "random_start=2"],
    "thinking_gate": THINKING,
    "thinking_routes": ["runs={thinking}", "seeds=3"],
    "thinking_optimal_length": [
        "arms={one_hop: {}, each_twice: {data.task.repeats: 2}}",
        "factors={model.layers: [1]}",
        *("seeds=3", "data.size=60", "data.validation=12", "data.task.hops=[1, 2]", "episode.batch_size=4"),
        *("episode.steps=6", "episode.evaluate_every=6", "episode.schedule={name: constant}", "model.width=32"),
        "episode.task_eval={problems: 4, tokens: 24}",
    ],
    "chaos": [
        *SHORTER,
        "factors={episode.optimizer.lr: [1.0e-3, 6.4e-2]}",
        "monitor.instruments=[{name: largest_exponent, every: 24, steps: 18, discard: 5}]",
    ],
}


def by_hand(name: str, out: Path, arm: str, seed: int) -> float:
    """The claimed metric of an episode, from its summary file or files."""
    place = out / "episodes" / arm / f"seed-{seed}"
    if name == "memory_margin":
        rows = [row for row in read_rows(place / "robustness.jsonl") if row["level"] == 0.05]
        return sum(row["passed"] for row in rows) / (3 * len(read_rows(place / "pairs.jsonl")))
    if name == "thinking_gate":
        summary = RunDirectory(place).summary()
        assert summary is not None
        return float(summary.metrics["predicted"]["gain"])
    if name == "thinking_routes":
        manifest = RunDirectory(place).manifest()
        source = RunDirectory(Path(manifest.config["runs"]) / f"seed-{seed}").summary()
        assert source is not None
        return 0.0 if arm == "hull" else float(source.metrics[arm]["gain"])
    if name in ("search_comparison", "policies"):
        rows = read_rows(place / "events.jsonl")
        return float(np.mean([row["value"] for row in rows if row["kind"] == "confirmation"]))
    cells = sorted(path.parent for path in place.rglob("summary.json")) or [out / "episodes/none" / f"seed-{seed}"]
    answers = RunDirectory(cells[0]).predictions()
    if name.startswith("loss_comparison"):
        return float(np.mean([row["answer_loss"] for row in answers]))
    if name == "thinking_optimal_length":
        return float(np.mean([row["correct"] for row in answers]))
    if name == "calibration_urns":
        return float(np.mean([divergence(row) for row in answers]))
    summaries = [RunDirectory(cell).summary() for cell in cells]
    metrics = [summary.metrics for summary in summaries if summary is not None]
    if name == "chaos":
        return float(np.mean([result["instruments"]["largest_exponent"]["value"] for result in metrics]))
    losses = np.array([result["val_loss"] for result in metrics])
    if name == "learned_controller_ledger":
        return float(losses.mean())
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
    (folder / "thinking").mkdir()  # the test of the report fills it
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    return {
        "folder": str(folder / "model"),
        "rows": str(folder / "rows.jsonl"),
        "thinking": str(folder / "thinking"),
        "bpe": str(model_folder),
        "pairs": str(folder / "pairs.jsonl"),
    }


FILES = {
    "loss_comparison_gsm8k": PRETRAINED,
    "memory_margin": ["model.path={bpe}", "pairs={{name: jsonl, path: {pairs}}}"],
    "thinking_routes": ["runs={thinking}"],
}
"""What an experiment asks for that is not shipped."""


def shortened(name: str, places: dict[str, str]) -> list[str]:
    return [text.format(**places) for text in SHORT[name]] if name in FILES else SHORT[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_its_report_is_true_to_the_records(tmp_path: Path, name: str, places: dict[str, str]) -> None:
    experiment = load_experiment(CONFIGS / f"{name}.yaml", shortened(name, places))
    if name == "thinking_routes":
        for seed in experiment.seed_list:
            run_thinking(thinking(seed=seed), Path(places["thinking"]) / f"seed-{seed}", RunContext())
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

"""Experiments whose episodes are memory runs: run, gone on with, judged, drawn; designs that have no meaning for them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.experiments.specs import ends
from trimtab.config import ConfigError
from trimtab.config.wording import Source
from trimtab.experiments import Experiment, RunOptions, run_experiment
from trimtab.experiments.aa import run_aa
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.loading import experiment_from
from trimtab.experiments.reading import finished
from trimtab.records import RunDirectory
from trimtab.reports.experiment import write_report
from trimtab.runtime.events import RunEvent

QUIET = RunOptions()


@pytest.fixture(autouse=True)
def one_thread(threads: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def design(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    rows = [{"question": chr(97 + index), "answer": chr(110 + index)} for index in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "question": "Does a margin pay?",
        "episodes": "memory",
        "claim": {"metric": "recalled.noise_0.1", "higher_is_better": True, "margin": 0.1},
        "arms": {"margin": {}, "none": {"solve.margin": 0.0}},
        "seeds": 6,
        "threads": 1,
        "model": {"name": "pretrained", "path": str(model_folder)},
        "pairs": {"name": "jsonl", "path": str(path)},
        "count": 3,
        "vectors": 12,
        "solve": {"steps": 40, "restarts": 1, "margin": 0.5, "lr": 0.5, "precision": "fp32", "positions": 60},
        "stages": ["baselines", "joint", "generation", "analysis"],
        "landscape_pairs": 0,
    }


def experiment(design: dict[str, Any], **changes: Any) -> Experiment:
    return experiment_from({**design, **changes}, Source("e.yaml", {}))


@pytest.fixture(scope="module")
def ran(design: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("experiment") / "e"
    return out, run_experiment(experiment(design), out, QUIET)


def test_memory_runs_are_compared_pair_by_pair_on_equal_pairs(
    design: dict[str, Any], ran: tuple[Path, dict[str, Any]]
) -> None:
    out, result = ran
    claimed = next(v for v in result["verdicts"] if v["metric"] == "recalled.noise_0.1")
    assert result["status"] == "completed"
    assert claimed["n"] == 6
    assert claimed["p_adjusted"] is not None
    for seed in range(6):
        runs = [out / "episodes" / arm / f"seed-{seed}" for arm in ("margin", "none")]
        assert (runs[0] / "pairs.jsonl").read_bytes() == (runs[1] / "pairs.jsonl").read_bytes()
        values = [_figures(run)["recalled"]["noise_0.1"] for run in runs]
        assert claimed["differences"][seed] == pytest.approx(values[1] - values[0])
    assert any(v["metric"] == "joint.pair_steps" and v["p_adjusted"] is None for v in result["verdicts"])


def test_a_finished_memory_experiment_is_not_run_again_and_its_records_stay(
    design: dict[str, Any], ran: tuple[Path, dict[str, Any]]
) -> None:
    out, result = ran
    before = {path: path.read_bytes() for path in out.glob("episodes/**/*.json*")}
    seen: list[RunEvent] = []
    again = run_experiment(experiment(design), out, RunOptions(events=seen.append))
    assert again["verdicts"] == result["verdicts"]
    assert sum(end.reused for end in ends(seen)) == 12
    assert {path: path.read_bytes() for path in before} == before


def test_an_unsolved_pair_counts_as_not_recalled(design: dict[str, Any], tmp_path: Path) -> None:
    arms = {"some": {}, "nothing": {"solve.steps": 1, "vectors": 1}}
    run_experiment(experiment(design, arms=arms, seeds=2), tmp_path / "e", QUIET)
    folder = ExperimentDirectory(tmp_path / "e")
    for episode in finished(folder, experiment(design, arms=arms, seeds=2)):
        solved, share = episode.figures["joint.share"], episode.figures["recalled.fp32"]
        assert share <= solved
        if episode.arm == "nothing":
            assert (solved, share, episode.figures["pass_fp32.share"]) == (0.0, 0.0, 0.0)


def test_workers_are_processes_of_their_own_here_too(design: dict[str, Any], tmp_path: Path) -> None:
    means = RunOptions(workers=2)
    result = run_experiment(experiment(design, seeds=2), tmp_path / "e", means)
    assert result["status"] == "completed"
    assert len(list((tmp_path / "e").glob("episodes/*/seed-*/summary.json"))) == 4


def test_the_report_says_what_was_recalled(ran: tuple[Path, dict[str, Any]]) -> None:
    page = write_report(ran[0])[0].read_text()
    assert "Memory runs by arm" in page
    assert "recalled, 10% noise" in page
    assert "Loss curves" not in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise_floor": 2}, "noise_floor: this key works only for training runs, but `episodes` is 'memory'"),
        ({"intervention_effects": True}, "intervention_effects: this key works only for training runs"),
        ({"pairing": {"name": "fork", "at": 3}}, "pairing: this key works only for training runs"),
        ({"claim": {"metric": "robustness.noise_0.1", "higher_is_better": True, "margin": 0.1}}, "recalled.noise_0.1"),
        ({"claim": {"metric": "recaled.int8", "higher_is_better": True, "margin": 0.1}}, "mean 'recalled.int8'"),
        (
            {"claim": {"metric": "pass_bf16.share", "higher_is_better": True, "margin": 0.1}},
            "no episode of the arm '.*' .a memory run each. has a metric",
        ),
        (
            {"claim": {"metric": "val_loss", "higher_is_better": False, "margin": 0.1}},
            "no episode of the arm '.*' .a memory run each. has a metric",
        ),
        (
            {
                "stages": ["baselines", "joint", "counterfactual"],  # which may find no pair to exchange answers with
                "claim": {"metric": "joint_counterfactual.share", "higher_is_better": True, "margin": 0.1},
            },
            "has a metric 'joint_counterfactual.share'",
        ),
        ({"arms": {"a": {}, "b": {"solve.margn": 1}}}, "arm 'b'"),
        ({"arms": {"a": {}, "b": {"solve.margin": 0.5}}}, "have the same config"),
        ({"pairs": {"name": "jsonl", "path": "/nowhere.jsonl"}}, "there is no file or folder /nowhere.jsonl"),
        ({"episodes": "dreams"}, "episodes"),
    ],
)
def test_a_design_that_memory_runs_cannot_have_is_refused(
    design: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        experiment(design, **changes)


def test_an_aa_experiment_of_memory_runs_is_refused(design: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="whose episodes are training runs"):
        run_aa(experiment(design), tmp_path / "aa", 2, 100, QUIET)


def test_an_episode_under_other_conditions_is_not_taken(design: dict[str, Any], tmp_path: Path) -> None:
    out, spec = tmp_path / "e", experiment(design, seeds=2)
    run_experiment(spec, out, QUIET)
    manifest = out / "episodes" / "margin" / "seed-0" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["data"]["fingerprint"] = "0" * 64
    manifest.write_text(json.dumps(content))
    seen: list[RunEvent] = []
    assert run_experiment(spec, out, RunOptions(events=seen.append))["status"] == "failed"
    assert any("manifest.json is not what the run wrote" in str(end.reason) for end in ends(seen))


def _figures(run: Path) -> dict[str, Any]:
    summary = RunDirectory(run).summary()
    assert summary is not None
    return summary.metrics

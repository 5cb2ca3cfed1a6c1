"""A thinking run: its parts, their records, and that interruptions and kills change nothing."""

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from tests.metacognition.models import TOKENIZER
from tests.training.small_runs import started
from trimtab.cli.commands import app
from trimtab.config import ConfigError, RunError
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.metacognition.calibration import Calibration
from trimtab.metacognition.model import Metacognitive
from trimtab.metacognition.policies import Outcomes
from trimtab.metacognition.recipe.config import ThinkingConfig
from trimtab.metacognition.recipe.run import run_thinking
from trimtab.metacognition.recipe.stages import CALIBRATION, COMPARED, LAYER, OBSERVED, PRICED, THINK
from trimtab.metacognition.thinking_run import thought
from trimtab.records import RunDirectory, read_rows
from trimtab.records.thinking_rows import OutcomeRow
from trimtab.runtime.context import RunContext
from trimtab.training import replay
from trimtab.training.runs.sampling import load_model

TINY: dict[str, Any] = {
    "kind": "thinking",
    "run": {
        "threads": 1,
        "data": {
            "name": "thinking",
            "task": {"name": "routes", "hops": [0, 1, 2], "nodes": 6, "paths": 2},
            "size": 60,
            "validation": 12,
            "context": 40,
            "cuts": {"longest": 6},
            "tokenizer": {"name": "tagged"},
        },
        "model": {
            "name": "metacognitive",
            "base": {"name": "decoder", "layers": 2, "width": 16, "heads": 2, "ff": 32, "dropout": 0.1},
            "caps": [0, 3, 6],
            "proj_dim": 8,
            "answer_room": 3,
        },
        "episode": {
            "steps": 6,
            "batch_size": 4,
            "precision": "fp32",
            "evaluate_every": 3,
            "evaluation_windows": 4,
            "checkpoint_every": 2,
            "task_eval": {"problems": 4, "tokens": 12},
        },
    },
    "observe": {"problems": 24},
    "layer": {"steps": 4},
    "compare": {"problems": 12, "pricing": 10},
}
TABLES = (OBSERVED, PRICED, COMPARED)


def config(**changes: Any) -> ThinkingConfig:
    return resolve_root(ThinkingConfig, {**TINY, **changes}, Source("thinking.yaml"))


def ended(out: Path) -> tuple[Any, ...]:
    """What a finished run left, but for times."""
    summary = RunDirectory(out).summary()
    assert summary is not None
    tables = [(out / name).read_bytes() for name in (*TABLES, CALIBRATION)]
    return summary.status, summary.metrics, summary.weights_sha256, *tables


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("thinking") / "whole"
    assert run_thinking(config(), out, RunContext())["status"] == "completed"
    return out


def test_it_leaves_two_runs_and_three_tables_that_give_its_figures(whole: Path) -> None:
    summary = RunDirectory(whole).summary()
    assert summary is not None and summary.steps == 10
    assert [len(read_rows(whole / name, OutcomeRow)) for name in TABLES] == [24, 10, 12]
    test = Outcomes(read_rows(whole / COMPARED, OutcomeRow), (0, 3, 6))
    assert summary.metrics["none"]["accuracy"] == test.fixed(0).accuracy
    assert summary.metrics["free"]["tokens"] == test.fixed(2).tokens
    layer = RunDirectory(whole / LAYER).manifest()
    assert layer.parent is not None and layer.parent.step == 6
    terms = [term["name"] for term in layer.config["episode"]["loss"]["terms"]]
    assert terms == ["cross_entropy", "plan", "thinking_length", "cap_confidence"]


def test_its_runs_are_replayed_bit_for_bit(whole: Path) -> None:
    assert replay(whole / THINK).identical and replay(whole / LAYER).identical


def test_a_finished_run_is_reused_and_a_changed_config_refused(whole: Path) -> None:
    before = ended(whole)
    assert run_thinking(config(), whole, RunContext())["reused"]
    with pytest.raises(RunError, match="the config"):
        run_thinking(config(seed=1), whole, RunContext())
    assert ended(whole) == before


@pytest.mark.parametrize("at", [2, 5, 7])
def test_a_run_that_was_asked_to_stop_continues_exactly(whole: Path, tmp_path: Path, at: int) -> None:
    calls = iter(range(1000))
    stop = RunContext(stop=lambda: "asked" if next(calls) == at else None)
    first = run_thinking(config(), tmp_path / "run", stop)
    assert first["status"] == "interrupted" and first["metrics"] == {}
    assert run_thinking(config(), tmp_path / "run", RunContext())["status"] == "completed"
    assert ended(tmp_path / "run") == ended(whole)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_change_nothing(whole: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "thinking.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(TINY))
    for file_of_part in ("think/steps.jsonl", OBSERVED, "layer/steps.jsonl", PRICED):
        process = started("train", str(file), "--out", str(out), merged=True)
        while not (out / file_of_part).exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.finish(60)
    done = started("train", str(file), "--out", str(out), merged=True).finish(200)
    assert done.returncode == 0, done.stdout
    assert ended(out) == ended(whole)


def test_it_is_trained_and_asked_on_the_command_line(tmp_path: Path) -> None:
    file, out = tmp_path / "thinking.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(TINY))
    runner = CliRunner()
    done = runner.invoke(app, ["train", str(file), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0 and "completed: predicted budgets:" in done.output, done.output
    asked = ["think", str(out), "--prompt", "ab bc.a1?"]
    for budget, told in (("auto", "predicted: a budget of"), ("0", "of a budget of 0"), ("none", "of a budget of")):
        answer = runner.invoke(app, [*asked, "--budget", budget], catch_exceptions=False)
        assert answer.exit_code == 0 and told in answer.output and "confidence:" in answer.output, answer.output
    summary = RunDirectory(out).summary()
    assert summary is not None
    calibration = Calibration.read(out / CALIBRATION, 3)
    for cap, place in ((0, 0), (3, 1), (6, 2)):
        once = thought(out, "ab bc.a1?", limit=cap)
        assert once["confidence_by_cap"] == calibration.apply(np.array(once["own_confidence_by_cap"])).tolist()
        assert once["confidence"] == once["confidence_by_cap"][place]
        assert once["own_confidence_by_cap"] == thought(out / LAYER, "ab bc.a1?", limit=cap)["confidence_by_cap"]
    told = [thought(place, "ab bc.a1?") for place in (out, out / LAYER)]
    model = load_model(out / LAYER).model
    assert isinstance(model, Metacognitive)
    ids = torch.tensor([[*TOKENIZER.encode("ab bc.a1?").tolist(), TOKENIZER.tags.open]])
    for one, price in zip(told, (summary.metrics["price"], model.budget.price), strict=True):
        budget = replace(model.budget, price=price)
        assert one["predicted_cap"] == budget.caps[int(budget.choose(model.decide(ids)[0])[0])]
    wrong = runner.invoke(app, [*asked, "--budget", "much"])
    assert isinstance(wrong.exception, ConfigError) and "must be auto, none or a number" in str(wrong.exception)
    long = runner.invoke(app, ["think", str(out), "--prompt", "ab" * 18])
    assert isinstance(long.exception, RunError) and "there is no room" in str(long.exception)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="a thinking run needs run.data"):
        config(run={})
    with pytest.raises(ConfigError, match="compare.problems is 13, but run.data.validation is only 12"):
        config(compare={"problems": 13, "pricing": 10})
    with pytest.raises(ConfigError, match="need 70 training problems, but run.data.size is only 60"):
        config(observe={"problems": 60})

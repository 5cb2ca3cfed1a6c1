"""Budget runs: what they read, and experiments of them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metacognition.recipe.test_run import config as thinking
from trimtab.config import RunError
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.experiments import RunOptions, load_experiment, run_experiment
from trimtab.metacognition.budgets.config import BudgetsConfig
from trimtab.metacognition.budgets.run import run_budgets
from trimtab.metacognition.recipe.run import run_thinking
from trimtab.records import RunDirectory
from trimtab.runtime.context import RunContext


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thinking runs."""
    place = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        run_thinking(thinking(seed=seed), place / f"seed-{seed}", RunContext())
    return place


def chosen(runs: Path, out: Path, **changes: Any) -> dict[str, Any]:
    config = resolve_root(BudgetsConfig, {"runs": str(runs), **changes}, Source("budgets.yaml"))
    return run_budgets(config, out, RunContext())


def test_each_policy_has_the_figures_of_the_thinking_run(runs: Path, tmp_path: Path) -> None:
    summary = RunDirectory(runs / "seed-1").summary()
    assert summary is not None
    for policy in ("predicted", "shuffled", "prompt_length", "fixed", "oracle", "none", "free"):
        metrics = chosen(runs, tmp_path / policy, policy=policy, seed=1)["metrics"]
        assert metrics == {name: summary.metrics[policy][name] for name in ("gain", "accuracy", "tokens")}
    hull = chosen(runs, tmp_path / "hull", policy="hull", seed=1)["metrics"]
    assert hull == {
        "gain": 0,
        "accuracy": summary.metrics["predicted"]["hull"],
        "tokens": summary.metrics["predicted"]["tokens"],
    }


def test_it_is_reused_until_its_outcomes_change(runs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy)
    assert not chosen(copy, tmp_path / "out")["reused"]
    assert chosen(copy, tmp_path / "out")["reused"]
    table = copy / "seed-0" / "compared.jsonl"
    lines = table.read_bytes().splitlines(keepends=True)
    table.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(RunError, match="the data"):
        chosen(copy, tmp_path / "out")


def test_a_missing_run_is_named(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no finished thinking run in .*seed-2"):
        chosen(runs, tmp_path / "out", seed=2)
    with pytest.raises(RunError, match="no finished thinking run"):
        chosen(runs / "seed-0", tmp_path / "out")


def test_policies_are_arms_of_an_experiment(runs: Path, tmp_path: Path) -> None:
    spec = {
        "question": "Do predicted budgets beat mixtures of fixed ones?",
        "episodes": "budgets",
        "claim": {"metric": "gain", "higher_is_better": True, "margin": 0.02},
        "arms": {"hull": {"policy": "hull"}, "predicted": {"policy": "predicted"}},
        "seeds": 2,
        "runs": str(runs),
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(spec))
    result = run_experiment(load_experiment(tmp_path / "e.yaml"), tmp_path / "e", RunOptions())
    assert result["status"] == "completed"
    assert [verdict["treatment"] for verdict in result["verdicts"] if verdict["metric"] == "gain"] == ["predicted"]

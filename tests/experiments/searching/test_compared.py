"""Searches as the arms of an experiment: paired by seed, judged on what fresh seeds confirm, drawn."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.searching.searches import SMALL, rows
from trimtab.config import ConfigError
from trimtab.config.wording import Source
from trimtab.experiments import Experiment, RunOptions, run_experiment
from trimtab.experiments.loading import experiment_from
from trimtab.reports.experiment import write_report

DESIGN: dict[str, Any] = {
    **SMALL,
    "question": "Does a hill climb find better settings than random search?",
    "episodes": "search",
    "claim": {"metric": "confirmed.val_loss", "higher_is_better": False, "margin": 0.01},
    "arms": {"random": {}, "climb": {"optimizer.name": "climb"}},
    "seeds": 3,
    "trials": 4,
    "random_start": 2,
}


def spec(**changes: Any) -> Experiment:
    return experiment_from({**DESIGN, **changes}, Source("exp.yaml"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("searches") / "e"
    return out, run_experiment(spec(), out, RunOptions(workers=2))


def test_pairs_of_searches_share_seeds_and_the_first_settings_and_are_judged_on_fresh_seeds(
    done: tuple[Path, dict[str, Any]],
) -> None:
    out, result = done
    assert result["status"] == "completed"
    verdict = next(one for one in result["verdicts"] if one["metric"] == "confirmed.val_loss")
    for seed in range(3):
        first, second = (rows(out / f"episodes/{arm}/seed-{seed}") for arm in ("random", "climb"))
        given = [[row["settings"] for row in log if row["kind"] == "trial"] for log in (first, second)]
        assert given[0][:2] == given[1][:2] and given[0] != given[1]
        fresh = [[row["seed"] for row in log if row["kind"] == "confirmation"] for log in (first, second)]
        assert fresh[0] == fresh[1]
        means = [sum(row["value"] for row in log if row["kind"] == "confirmation") / 2 for log in (first, second)]
        assert verdict["differences"][seed] == pytest.approx(means[1] - means[0], abs=1e-12)
    assert {one["metric"] for one in result["verdicts"]} >= {"confirmed.val_loss", "found", "optimism", "anytime"}


def test_it_is_continued_with_nothing_done_twice(done: tuple[Path, dict[str, Any]]) -> None:
    out, result = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("events.jsonl")}
    assert run_experiment(spec(), out, RunOptions())["verdicts"] == result["verdicts"]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("events.jsonl")} == before


def test_the_report_compares_what_was_found_with_what_was_confirmed(done: tuple[Path, dict[str, Any]]) -> None:
    out, _ = done
    write_report(out)
    page = (out / "report.md").read_text()
    assert "## Searches" in page and "regret" in page
    summaries = [json.loads((out / f"episodes/climb/seed-{seed}/summary.json").read_text()) for seed in range(3)]
    mean = sum(one["metrics"]["confirmed"]["val_loss"] for one in summaries) / 3
    assert f"{mean:.4g}"[:5] in page
    assert (out / "plots/searches-best-so-far.svg").exists()


def test_a_metric_that_searches_do_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"confirmed\.val_los"):
        spec(claim={"metric": "confirmed.val_los", "higher_is_better": False, "margin": 0.01})
    with pytest.raises(ConfigError, match="confirm"):
        spec(confirm={"seeds": 0})

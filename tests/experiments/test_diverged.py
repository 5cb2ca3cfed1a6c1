"""What runs that diverged count as, and what may be said of an arm of them."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.specs import SMALL, spec
from tests.training.loop.test_task_eval import WILD
from trimtab.config import WorkError
from trimtab.config.wording import Source
from trimtab.evidence import Verdict
from trimtab.experiments import RunOptions, experiment_from, run_experiment
from trimtab.experiments.reading import EpisodeResult
from trimtab.experiments.verdicts.verdict_metrics import metric_table, verdicts
from trimtab.records import RunDirectory

KL = "task_eval.truth.kl.value"
CLAIM = {"metric": KL, "higher_is_better": False, "margin": 0.05}
TASK: dict[str, Any] = {
    "data": {"name": "task", "task": {"name": "urns", "levels": [1]}, "size": 400, "validation": 20, "context": 64},
    "model": {"name": "decoder", "layers": 1, "width": 16, "heads": 1, "ff": 16},
    "episode": {**SMALL["episode"], "steps": 60, "task_eval": {"problems": 20, "tokens": 3}},
}
HEALTHY = [0.010, 0.012, 0.011, 0.009, 0.013, 0.010, 0.014, 0.012]


def episodes(arm: str, values: list[float | None], untrained: float | None = 1.4) -> list[EpisodeResult]:
    """Runs by their figure, None for one that diverged, with the untrained model's where that is known."""
    result = []
    for seed, value in enumerate(values):
        figures = {} if value is None else {KL: value}
        if value is None and untrained is not None:
            figures[f"untrained.{KL}"] = untrained
        if value is None:
            figures[KL] = float("nan")
        result.append(EpisodeResult(arm, seed, (), "diverged" if value is None else "completed", figures))
    return result


def judged(plain: list[EpisodeResult], hot: list[EpisodeResult], **claim: Any) -> Verdict:
    return verdicts(spec(**TASK, claim={**CLAIM, **claim}, seeds=8), [*plain, *hot])[0].verdict


def test_an_arm_that_diverged_in_every_run_has_the_untrained_models_metric() -> None:
    """Not at the worst run of the other arm, which made it equivalent to that."""
    result = judged(episodes("plain", [*HEALTHY]), episodes("hot", [None] * 8))
    assert (result.verdict, result.capped) == ("inferior", 8)
    assert result.mean_difference == pytest.approx(1.4 - sum(HEALTHY) / 8)


def test_an_arm_that_diverged_in_every_run_is_never_as_good_or_better() -> None:
    late = episodes("hot", [None] * 8, untrained=0.011)  # the other arm hardly learnt, or learnt too much
    result = judged(episodes("plain", [*HEALTHY]), late)
    assert result.verdict == "inconclusive" and "all 8 runs of hot diverged" in result.reason
    assert "'equivalent'" in result.sentence
    worse = judged(episodes("plain", [value + 1 for value in HEALTHY]), late, margin=0.001)
    assert worse.verdict == "inconclusive" and "'superior'" in worse.sentence
    base = judged(episodes("plain", [None] * 8, untrained=0.011), episodes("hot", [*HEALTHY]))
    assert base.verdict == "inconclusive" and "all 8 runs of plain diverged" in base.reason
    assert judged(episodes("plain", [None] * 8), episodes("hot", [*HEALTHY])).verdict == "superior"


def test_a_run_does_not_gain_by_diverging_where_untrained_models_score_well() -> None:
    """As in calibration: a model that is sure of nothing makes no error of confidence."""
    gains = [0.004, 0.0045, 0.003, 0.0035, 0.005, 0.0055, 0.0047, 0.0038]
    values: list[float | None] = [value - gain for value, gain in zip(HEALTHY, gains, strict=True)]
    plain, few = episodes("plain", [*HEALTHY]), episodes("hot", [None, None, *values[2:]], untrained=0.0065)
    result = judged(plain, few, margin=0.001)
    assert result.verdict == "inconclusive" and "2 of the runs of hot diverged" in result.reason
    assert judged(plain, episodes("hot", [*values]), margin=0.001).verdict == "superior"
    losing = judged(episodes("plain", [*values]), episodes("hot", [None, *HEALTHY[1:]], untrained=0.0), margin=0.0001)
    assert losing.verdict in ("inferior", "inconclusive") and "score better" not in losing.reason


def test_without_the_untrained_models_metric_a_diverged_arm_is_never_superior_or_equivalent() -> None:
    hot = episodes("hot", [None, *HEALTHY[1:]], untrained=None)
    result = judged(episodes("plain", [*HEALTHY]), hot)
    assert result.verdict == "inconclusive" and "the untrained model's is not known" in result.reason
    with_it = judged(episodes("plain", [*HEALTHY]), episodes("hot", [None, *HEALTHY[1:]], untrained=0.02))
    assert (with_it.verdict, with_it.capped) == ("equivalent", 1)


def test_a_figure_that_is_not_finite_is_capped_in_whatever_way_its_run_ended() -> None:
    hot = [EpisodeResult("hot", seed, (), "completed", {KL: value}) for seed, value in enumerate(HEALTHY)]
    hot[3] = EpisodeResult("hot", 3, (), "completed", {KL: float("inf"), f"untrained.{KL}": 1.4})
    table = metric_table(spec(**TASK, claim=CLAIM, seeds=8), [*episodes("plain", [*HEALTHY]), *hot], KL)
    assert table.values["hot"][3] == 1.4 and sum(table.unfounded["hot"].values()) == 0
    assert table.capped["hot"] == {seed: int(seed == 3) for seed in range(8)}


def test_each_figure_is_capped_in_its_own_direction() -> None:
    """Of the share of right answers the untrained model's is the lower one, whatever the claim is of."""
    metric = "task_eval.exact_match"
    runs = [
        EpisodeResult("plain", 0, (), "completed", {metric: 0.9}),
        EpisodeResult("plain", 1, (), "completed", {metric: 0.8}),
    ]
    runs += [EpisodeResult("hot", 0, (), "diverged", {metric: 0.0, f"untrained.{metric}": 0.02}),
             EpisodeResult("hot", 1, (), "diverged", {metric: 0.1, f"untrained.{metric}": 0.02})]  # fmt: skip
    assert metric_table(spec(**TASK, claim=CLAIM), runs, metric).values["hot"] == {0: 0.02, 1: 0.1}


def test_the_training_loss_is_capped_by_the_loss_that_is_trained_on() -> None:
    """Under an objective of ten times the cross-entropy, the untrained model's cross-entropy would flatter a diverged run."""
    caps = {"untrained_loss": 5.0, "untrained.train_loss": 50.0}
    runs = [
        EpisodeResult("plain", 0, (), "completed", {"train_loss": 20.0}),
        EpisodeResult("hot", 0, (), "diverged", {"train_loss": 90.0, **caps}),
    ]
    assert metric_table(spec(**TASK, claim=CLAIM), runs, "train_loss").values["hot"] == {0: 50.0}


def test_a_hot_arm_on_a_task_counts_as_untrained_from_end_to_end(tmp_path: Path) -> None:
    hot = {key: float(value) if value != "null" else None for key, value in (one.split("=") for one in WILD[:2])}
    small = {
        **SMALL,
        "claim": {"metric": KL, "higher_is_better": False, "margin": 0.001},
        "arms": {"plain": {}, "hot": {**hot, "episode.diverged_after": 6}},
        "seeds": 6,
        **TASK,
    }
    result = run_experiment(experiment_from(small, Source("e.yaml")), tmp_path / "e", RunOptions())
    verdict = result["verdicts"][0]
    assert (verdict["metric"], verdict["capped"]) == (KL, 6) and verdict["verdict"] in ("inferior", "inconclusive")
    for seed, value in enumerate(verdict["treatment_values"]):
        summary = RunDirectory(tmp_path / f"e/episodes/hot/seed-{seed}").summary()
        assert summary is not None and summary.status == "diverged"
        own, untrained = (
            figures["task_eval"]["truth"]["kl"]["value"] for figures in (summary.metrics, summary.metrics["untrained"])
        )
        assert value == (min(own, untrained) if math.isfinite(own) else untrained)


def test_a_run_that_diverged_before_it_was_measured_counts_as_the_worst() -> None:
    metric = "instruments.largest_exponent.value"
    claim = {"metric": metric, "higher_is_better": False, "margin": 0.02}
    monitor = {"instruments": [{"name": "largest_exponent", "every": 10, "steps": 8, "discard": 1}]}
    measured = [EpisodeResult("plain", 0, (), "completed", {metric: 0.1}), EpisodeResult("plain", 1, (), "completed", {metric: 0.3}),
                EpisodeResult("hot", 0, (), "completed", {metric: 0.2}), EpisodeResult("hot", 1, (), "diverged", {})]  # fmt: skip
    table = metric_table(spec(claim=claim, monitor=monitor), measured, metric)
    assert table.values == {"plain": {0: 0.1, 1: 0.3}, "hot": {0: 0.2, 1: 0.3}}
    assert table.capped == table.unfounded == {"plain": {0: 0, 1: 0}, "hot": {0: 0, 1: 1}}
    unmeasured = [*measured[:3], EpisodeResult("hot", 1, (), "completed", {})]
    with pytest.raises(WorkError, match="has no figure"):
        metric_table(spec(claim=claim, monitor=monitor), unmeasured, metric)

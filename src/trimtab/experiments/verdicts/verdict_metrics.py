"""Paired differences and verdicts from the results of episodes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.errors import DataError
from trimtab.evidence import Claim, Comparison, Sequential, SequentialResult, Verdict, judge_all, paired_differences
from trimtab.evidence.arrays import Floats, mean
from trimtab.evidence.rule import Ruling
from trimtab.experiments.reading import EpisodeResult
from trimtab.experiments.spec import Experiment
from trimtab.experiments.verdicts.capping import better_untrained, capped_values, metric_named, worst_of
from trimtab.experiments.verdicts.diverged import DivergedRuns, guarded
from trimtab.records.experiment_files import VerdictRecord


@dataclass(frozen=True)
class Judged:
    """A verdict with its pairs, seed by seed; the number of `planned` pairs, and the episodes that `failed`."""

    verdict: Verdict
    seeds: list[int]
    baseline_values: list[float]
    treatment_values: list[float]
    differences: list[float]
    planned: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)

    @property
    def record(self) -> VerdictRecord:
        """The verdict and its pairs as an entry of `verdicts.json`."""
        names = ("seeds", "baseline_values", "treatment_values", "differences", "planned", "failed")
        return VerdictRecord.model_validate(self.verdict.as_dict() | {name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class _Pairs:
    comparison: Comparison
    seeds: list[int]
    baseline: list[float]
    treatment: list[float]
    diverged: DivergedRuns
    unjudged: str = ""

    def first(self, count: int) -> "_Pairs":
        """The first pairs, with which a sequential comparison ended."""
        comparison = replace(self.comparison, differences=np.asarray(self.comparison.differences)[:count])
        return replace(
            self,
            comparison=comparison,
            seeds=self.seeds[:count],
            baseline=self.baseline[:count],
            treatment=self.treatment[:count],
        )


@dataclass(frozen=True)
class Table:
    """A metric by arm and seed, and the counts of `CappedValues`."""

    values: dict[str, dict[int, float]]
    capped: dict[str, dict[int, int]]
    unfounded: dict[str, dict[int, int]]


def metric_table(experiment: Experiment, episodes: list[EpisodeResult], metric: str) -> Table:
    """The metric by arm and seed (a derived one, or the mean over the factors' cells), diverged runs capped (`capped_values`).

    Raises `WorkError` for a figure that an episode does not have.
    """
    derived = experiment.derived if metric == "sensitivity" else None
    source = derived.metric if derived is not None else metric
    table = Table({}, {}, {})
    compared = metric_named(experiment, source)
    worst = worst_of(episodes, compared)
    for arm in experiment.arms:
        for seed in sorted({episode.seed for episode in episodes if episode.arm == arm}):
            own = [episode for episode in episodes if (episode.arm, episode.seed) == (arm, seed)]
            if len(own) < len(experiment.cells):
                continue
            those = capped_values(own, compared, worst=worst)
            table.capped.setdefault(arm, {})[seed] = those.capped
            table.unfounded.setdefault(arm, {})[seed] = those.unfounded
            values = those.values
            if derived is None:
                table.values.setdefault(arm, {})[seed] = mean(values)
            else:
                best = values.max() if compared.higher_is_better else values.min()
                table.values.setdefault(arm, {})[seed] = mean(np.abs(values - best))
    return table


def verdicts(
    experiment: Experiment, episodes: list[EpisodeResult], noise_floor: Mapping[str, float] | None = None
) -> list[Judged]:
    """The claim's verdict for every treatment (Holm over them), then estimates: against tuned arms, and of other metrics.

    In a sequential experiment the claims are judged by their e-processes, at an equal share of alpha each.
    """
    spec = experiment.claim
    claim = Claim(spec.metric, spec.higher_is_better, spec.margin, spec.alpha, spec.scale)
    pairs = _compared(experiment, episodes, spec.metric, claim, noise_floor)
    share = spec.alpha / len(experiment.treatments)
    if experiment.sequential:
        results = sequential_results(experiment, episodes)
        pairs = [pair.first(results[pair.comparison.treatment].n) for pair in pairs]
    for arm in experiment.tune:
        pairs += _compared(experiment, episodes, spec.metric, None, noise_floor, base=arm)
    for metric in experiment.metrics.explored:
        if metric != spec.metric and all(metric in episode.figures for episode in episodes):
            pairs += _compared(experiment, episodes, metric, None, noise_floor)
    judged = judge_all([pair.comparison for pair in pairs], family=len(experiment.treatments))
    if experiment.sequential:
        judged = [_sequential(v, results[v.treatment], share) if v.p_adjusted is not None else v for v in judged]
    judged = [
        _inconclusive(verdict, claim, pair.unjudged) if pair.unjudged else guarded(verdict, pair.diverged)
        for verdict, pair in zip(judged, pairs, strict=True)
    ]
    return [
        Judged(verdict, pair.seeds, pair.baseline, pair.treatment, np.asarray(pair.comparison.differences).tolist())
        for verdict, pair in zip(judged, pairs, strict=True)
    ]


def _inconclusive(verdict: Verdict, claim: Claim, reason: str) -> Verdict:
    """The verdict on a claim that its own scale cannot judge; the estimates are of plain differences."""
    about = f"{verdict.treatment} against {verdict.baseline}, {verdict.metric}"
    return replace(
        verdict,
        verdict="inconclusive",
        claim=claim.text,
        reason=reason,
        sentence=f"{about}: inconclusive; {reason}",
    )


def sequential_results(experiment: Experiment, episodes: list[EpisodeResult]) -> dict[str, SequentialResult]:
    """The sequential result of the claim for each treatment, pair by pair in the order of the seeds."""
    spec = experiment.claim
    share = spec.alpha / len(experiment.treatments)
    claim = Claim(spec.metric, spec.higher_is_better, spec.margin, share, spec.scale)
    seeds = experiment.seed_list[: experiment.budget.pairs]
    results = {}
    for pair in _compared(experiment, episodes, spec.metric, claim, None):
        comparison = pair.comparison
        if pair.unjudged:
            results[comparison.treatment] = SequentialResult(
                len(pair.seeds), "continue", 1.0, -math.inf, math.inf, pair.unjudged
            )
            continue
        sequential, result = Sequential(claim, len(seeds)), None
        for difference in np.asarray(comparison.differences).tolist():
            result = sequential.feed(difference)
            if result.conclusion != "continue":
                break
        assert result is not None
        results[comparison.treatment] = result
    return results


def _sequential(verdict: Verdict, result: SequentialResult, alpha: float) -> Verdict:
    """The verdict of the e-process; p values and fixed-n intervals do not hold under repeated looks, so they are left out."""
    word: Ruling = "inconclusive" if result.conclusion == "continue" else result.conclusion
    return replace(
        verdict,
        verdict=word,
        confidence_interval=(result.low, result.high),
        level=1 - alpha,
        p_value=math.nan,
        p_adjusted=None,
        e_value=result.e_value,
        reason=result.reason,
        sentence=f"After {result.n} pairs, sequentially: {verdict.treatment} against {verdict.baseline}, {verdict.metric}: "
        f"{word} ({result.reason})",
    )


def _compared(
    experiment: Experiment,
    episodes: list[EpisodeResult],
    metric: str,
    claim: Claim | None,
    noise_floor: Mapping[str, float] | None,
    base: str | None = None,
) -> list[_Pairs]:
    """The treatments against `base`: the baseline arm, or a tuned one (whose episodes share the seed alone)."""
    table = metric_table(experiment, episodes, metric)
    values = table.values
    source = experiment.derived.metric if experiment.derived is not None and metric == "sensitivity" else metric
    base, by_seed = base or experiment.baseline_arm, experiment.pairing.name == "seed"
    compared = []
    for arm in experiment.treatments:
        if arm == base:
            continue
        alone = experiment.runs_alone(arm) or base != experiment.baseline_arm
        seeds = [seed for seed in experiment.seed_list if seed in values.get(base, {}) and seed in values.get(arm, {})]
        if not seeds:
            continue
        baseline, treatment = [values[base][seed] for seed in seeds], [values[arm][seed] for seed in seeds]
        differences, unjudged = _differences(baseline, treatment, claim)
        comparison = Comparison(
            metric,
            differences,
            None if unjudged else claim,
            base,
            arm,
            "seed" if alone else "fork",
            noise_floor.get(metric) if noise_floor is not None and alone == by_seed else None,
            sum(table.capped[name][seed] for name in (base, arm) for seed in seeds),
        )
        runs = {name: [e for e in episodes if e.arm == name and e.seed in seeds] for name in (base, arm)}
        wrecked = {name: len(own) for name, own in runs.items() if all(e.status == "diverged" for e in own)}
        gaining = better_untrained([*runs[base], *runs[arm]], metric_named(experiment, source))
        unfounded = sum(table.unfounded[name][seed] for name in (base, arm) for seed in seeds)
        diverged = DivergedRuns(wrecked, gaining, unfounded)
        compared.append(_Pairs(comparison, seeds, baseline, treatment, diverged, unjudged))
    return compared


def _differences(baseline: list[float], treatment: list[float], claim: Claim | None) -> tuple[Floats, str]:
    """The paired differences, and the reason why the claim cannot be judged on them (they are plain then), or an empty text."""
    if claim is None or claim.scale != "log":
        return paired_differences(baseline, treatment, "plain"), ""
    try:
        return paired_differences(baseline, treatment, "log"), ""
    except DataError as error:
        return paired_differences(baseline, treatment, "plain"), str(error)

"""From the episodes' records to paired differences and verdicts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trimtab.config import WorkError
from trimtab.evidence import Claim, Comparison, Decision, Sequential, Verdict, cap, judge_all, paired_differences
from trimtab.evidence.rule import Ruling
from trimtab.experiments.reading import Episode
from trimtab.experiments.spec import Experiment

EXPLORED = (
    "exam.exact_match",
    "exam.answer_loss",
    "exam.calibration.smooth_ece.value",
    "exam.truth.kl.value",
    "val_loss",
    "val_accuracy",
    "best_val_loss",
    "stability.unstable_steps",
    "stability.flagged_steps",
)
"""Figures that an experiment compares besides the claimed one, without a verdict, where its episodes have them."""

_UNTRAINED = {"val_loss": "untrained_loss", "best_val_loss": "untrained_loss", "train_loss": "untrained_loss"}
_LOWER_IS_BETTER = frozenset(_UNTRAINED)


@dataclass(frozen=True)
class Judged:
    """A verdict and the pairs it was reached on, seed by seed."""

    verdict: Verdict
    seeds: list[int]
    baseline_values: list[float]
    treatment_values: list[float]
    differences: list[float]

    def as_dict(self) -> dict[str, Any]:
        """The verdict's fields and the pairs beside them; `differences` are on the scale of the claim."""
        pairs = {name: list(getattr(self, name)) for name in ("seeds", "baseline_values", "treatment_values")}
        return self.verdict.as_dict() | pairs | {"differences": list(self.differences)}


@dataclass(frozen=True)
class _Pairs:
    comparison: Comparison
    seeds: list[int]
    baseline: list[float]
    treatment: list[float]

    def first(self, count: int) -> "_Pairs":
        """The first pairs alone: those on which a sequential comparison ended."""
        comparison = replace(self.comparison, differences=np.asarray(self.comparison.differences)[:count])
        return _Pairs(comparison, self.seeds[:count], self.baseline[:count], self.treatment[:count])


def metric_table(
    experiment: Experiment, episodes: list[Episode], metric: str
) -> tuple[dict[str, dict[int, float]], dict[str, int]]:
    """The metric by arm and seed (a derived one, or the mean over the factors' cells), and the diverged runs an arm had capped.

    A diverged run's loss is capped at the untrained model's. Raises `WorkError` for a figure that an episode does not have.
    """
    derived = experiment.derived if metric == "sensitivity" else None
    source = derived.metric if derived is not None else metric
    table: dict[str, dict[int, float]] = {}
    capped: dict[str, int] = {}
    worst = _worst(experiment, episodes, source)
    for arm in experiment.arms:
        for seed in sorted({episode.seed for episode in episodes if episode.arm == arm}):
            own = [episode for episode in episodes if (episode.arm, episode.seed) == (arm, seed)]
            if len(own) < len(experiment.cells):
                continue
            values, count = capped_values(own, source, worst)
            capped[arm] = capped.get(arm, 0) + count
            if derived is None:
                table.setdefault(arm, {})[seed] = float(np.mean(values))
            else:
                best = values.min() if source in _LOWER_IS_BETTER else values.max()
                table.setdefault(arm, {})[seed] = float(np.mean(np.abs(values - best)))
    return table, capped


def _worst(experiment: Experiment, episodes: list[Episode], metric: str) -> float | None:
    """The worst value that any run has of a metric: what a run that diverged before it was measured counts as."""
    found = [value for episode in episodes if math.isfinite(value := episode.figures.get(metric, math.nan))]
    if not found or metric in _UNTRAINED:
        return None
    return min(found) if experiment.claim.higher_is_better else max(found)


def capped_values(episodes: list[Episode], metric: str, worst: float | None = None) -> tuple[np.ndarray, int]:
    """The metric of some episodes, and how many are capped.

    A diverged run's loss is capped at the untrained model's; of another metric, one that has no finite value counts as `worst`.
    Raises `WorkError` for a figure that an episode does not have or that has nothing to be capped at.
    """
    unmeasured = [e.status == "diverged" and not math.isfinite(e.figures.get(metric, math.nan)) for e in episodes]
    if worst is not None and any(unmeasured):
        measured = [episode for episode, lost in zip(episodes, unmeasured, strict=True) if not lost]
        rest = iter(capped_values(measured, metric)[0].tolist() if measured else [])
        return np.array([worst if lost else next(rest) for lost in unmeasured]), sum(unmeasured)
    missing = [episode for episode in episodes if metric not in episode.figures]
    if missing:
        known = ", ".join(sorted(name for name in missing[0].figures if name.startswith(("val_", "stability", "best"))))
        raise WorkError(
            f"The episode {missing[0].arm}, seed {missing[0].seed} has no figure '{metric}' to compare. It has {known}."
        )
    values = np.array([episode.figures[metric] for episode in episodes])
    diverged = np.array([episode.status == "diverged" for episode in episodes])
    if metric in _UNTRAINED:
        untrained = np.array([episode.figures.get(_UNTRAINED[metric], math.nan) for episode in episodes])
        found = cap(values, diverged, untrained, higher_is_better=False)
        return found.values, found.count
    if not np.isfinite(values).all():
        raise WorkError(f"'{metric}' is not finite in {episodes[0].arm}, seed {episodes[0].seed}, and has no untrained value to "
                        "cap it at.")  # fmt: skip
    return values, 0


def verdicts(
    experiment: Experiment, episodes: list[Episode], noise_floor: Mapping[str, float] | None = None
) -> list[Judged]:
    """The claim's verdict for every treatment (Holm over them), then estimates: against tuned arms, and of other metrics.

    In a sequential experiment the claims are judged by their e-processes, at an equal share of alpha each.
    """
    spec = experiment.claim
    claim = Claim(spec.metric, spec.higher_is_better, spec.margin, spec.alpha, spec.scale)
    pairs = _compared(experiment, episodes, spec.metric, claim, noise_floor)
    share = spec.alpha / len(experiment.treatments)
    if experiment.sequential:
        decisions = sequential_decisions(experiment, episodes)
        pairs = [pair.first(decisions[pair.comparison.treatment].n) for pair in pairs]
    for arm in experiment.tune:
        pairs += _compared(experiment, episodes, spec.metric, None, noise_floor, base=arm)
    for metric in EXPLORED:
        if metric != spec.metric and all(metric in episode.figures for episode in episodes):
            pairs += _compared(experiment, episodes, metric, None, noise_floor)
    found = judge_all([pair.comparison for pair in pairs])
    if experiment.sequential:
        found = [_sequential(v, decisions[v.treatment], share) if v.p_adjusted is not None else v for v in found]
    found = [_nothing_learned(v) if v.capped == 2 * v.n * len(experiment.cells) else v for v in found]
    return [
        Judged(verdict, pair.seeds, pair.baseline, pair.treatment, np.asarray(pair.comparison.differences).tolist())
        for verdict, pair in zip(found, pairs, strict=True)
    ]


def sequential_decisions(experiment: Experiment, episodes: list[Episode]) -> dict[str, Decision]:
    """Where the claim stands for each treatment, pair by pair in the order of the seeds."""
    spec = experiment.claim
    share = spec.alpha / len(experiment.treatments)
    claim = Claim(spec.metric, spec.higher_is_better, spec.margin, share, spec.scale)
    seeds = experiment.seed_list[: experiment.budget.pairs]
    found = {}
    for pair in _compared(experiment, episodes, spec.metric, claim, None):
        comparison = pair.comparison
        judge, decision = Sequential(claim, len(seeds)), None
        for difference in np.asarray(comparison.differences).tolist():
            decision = judge.feed(difference)
            if decision.decision != "go on":
                break
        assert decision is not None
        found[comparison.treatment] = decision
    return found


def _nothing_learned(verdict: Verdict) -> Verdict:
    """Every run of both arms diverged and was capped: equal caps are no equal results."""
    reason = f"all {verdict.capped} runs diverged and stand at the untrained model's loss, so nothing was compared"
    sentence = f"{verdict.treatment} against {verdict.baseline}, {verdict.metric}: {reason}."
    word: Ruling = "estimate only" if verdict.p_adjusted is None else "inconclusive"
    return replace(verdict, verdict=word, reason=reason, sentence=sentence)


def _sequential(verdict: Verdict, decision: Decision, alpha: float) -> Verdict:
    """The verdict as its e-process gives it; repeated p values and fixed-n intervals have no place in it."""
    word: Ruling = "inconclusive" if decision.decision == "go on" else decision.decision
    return replace(
        verdict,
        verdict=word,
        confidence_interval=(decision.low, decision.high),
        level=1 - alpha,
        p_value=math.nan,
        p_adjusted=None,
        e_value=decision.e_value,
        reason=decision.reason,
        sentence=f"After {decision.n} pairs, sequentially: {verdict.treatment} against {verdict.baseline}, {verdict.metric}: "
        f"{word} ({decision.reason})",
    )


def _compared(
    experiment: Experiment,
    episodes: list[Episode],
    metric: str,
    claim: Claim | None,
    noise_floor: Mapping[str, float] | None,
    base: str | None = None,
) -> list[_Pairs]:
    """The treatments against `base`: the baseline arm, or a tuned one (whose episodes share the seed alone)."""
    table, capped = metric_table(experiment, episodes, metric)
    base, by_seed = base or experiment.baseline_arm, experiment.pairing.name == "seed"
    found = []
    for arm in experiment.treatments:
        if arm == base:
            continue
        alone = experiment.runs_alone(arm) or base != experiment.baseline_arm
        seeds = [seed for seed in experiment.seed_list if seed in table.get(base, {}) and seed in table.get(arm, {})]
        if not seeds:
            continue
        baseline, treatment = [table[base][seed] for seed in seeds], [table[arm][seed] for seed in seeds]
        comparison = Comparison(
            metric,
            paired_differences(baseline, treatment, claim.scale if claim is not None else "plain"),
            claim,
            base,
            arm,
            "seed" if alone else "fork",
            noise_floor.get(metric) if noise_floor is not None and alone == by_seed else None,
            capped[base] + capped[arm],
        )
        found.append(_Pairs(comparison, seeds, baseline, treatment))
    return found

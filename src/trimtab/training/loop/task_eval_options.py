"""The probabilities of a task evaluation: of generated answers, and of options, whose true probabilities may be known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from trimtab.data.tasks import Problem
from trimtab.evaluation.calibration import DistributionReport, distribution_report, sequence_confidence

OptionLogs = Float64[np.ndarray, " _"]
"""log p of each option of a problem, in nats."""


def confidences(log_probabilities: Sequence[Float64[np.ndarray, " _"]]) -> Float64[np.ndarray, " answers"]:
    """The probability of each answer, from its tokens' log probabilities; NaN where these are empty or not finite."""
    lengths = np.array([len(row) for row in log_probabilities])
    mask = np.arange(lengths.max()) < lengths[:, None]
    table = np.zeros(mask.shape)
    table[mask] = np.concatenate(list(log_probabilities))
    finite = np.isfinite(table).all(axis=1) & mask.any(axis=1)
    probabilities = np.full(len(table), np.nan)
    if finite.any():
        probabilities[finite] = sequence_confidence(table[finite], mask[finite]).probability
    return probabilities


def drawn(problems: Sequence[Problem]) -> list[str | None]:
    """An outcome of each problem, drawn from the exact distribution of its answers; None where that is not known.

    The problem's own label is not used, because a file may give the likeliest answer as the label.
    """
    # One seed for all, so that every model of every arm is compared with the same outcomes.
    generator = np.random.default_rng(0)
    return [
        problem.options[generator.choice(len(problem.options), p=problem.option_probabilities)]
        if problem.option_probabilities
        else None
        for problem in problems
    ]


def expected_loss(problem: Problem, logs: OptionLogs) -> float:
    """The mean of −log p over the exact distribution of answers, lowest for that distribution; NaN where it is not known."""
    if not problem.option_probabilities:
        return float("nan")
    true = np.array(problem.option_probabilities)
    return float(-(true[true > 0] * logs[true > 0]).sum())


def shares(logs: OptionLogs) -> OptionLogs:
    """The probabilities of the options, normalised to add up to 1; NaN where none is finite."""
    if not np.isfinite(logs.max()):
        return np.full(len(logs), np.nan)
    exponentials = np.exp(logs - logs.max())
    normalised: OptionLogs = exponentials / exponentials.sum()
    return normalised


def distances(problems: Sequence[Problem], options: Sequence[OptionLogs]) -> dict[str, Any]:
    """`option_mass`, and `truth` over the problems whose exact distribution is known; {} without options."""
    masses = [float(np.exp(logs).sum()) for logs in options if len(logs)]
    figures: dict[str, Any] = {"option_mass": float(np.mean(masses))} if masses else {}
    known = [(problem, logs) for problem, logs in zip(problems, options, strict=True) if problem.option_probabilities]
    if known:
        given, true = (np.zeros((len(known), max(len(logs) for _, logs in known))) for _ in range(2))
        for row, (problem, logs) in enumerate(known):
            given[row, : len(logs)], true[row, : len(logs)] = shares(logs), problem.option_probabilities
        finite = bool(np.isfinite(given).all())
        report = distribution_report(given, true, seed=0) if finite else DistributionReport.unknown(len(known))
        figures["truth"] = report.as_dict()
    return figures

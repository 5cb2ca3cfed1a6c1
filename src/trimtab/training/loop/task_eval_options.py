"""A task evaluation's probabilities: of what was said, and of options whose true probabilities may be known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from trimtab.data.tasks import Problem
from trimtab.evaluation.calibration import DistributionReport, distribution_report, sequence_confidence

OptionLogs = Float64[np.ndarray, " _"]
"""log p of each option of a problem, in nats."""


def confidences(log_probabilities: Sequence[Float64[np.ndarray, " _"]]) -> Float64[np.ndarray, " answers"]:
    """The probability of each answer from its tokens' log probabilities; NaN where one is not finite, or there is none."""
    lengths = np.array([len(row) for row in log_probabilities])
    mask = np.arange(lengths.max()) < lengths[:, None]
    table = np.zeros(mask.shape)
    table[mask] = np.concatenate(list(log_probabilities))
    finite = np.isfinite(table).all(axis=1) & mask.any(axis=1)
    found = np.full(len(table), np.nan)
    if finite.any():
        found[finite] = sequence_confidence(table[finite], mask[finite]).probability
    return found


def drawn(problems: Sequence[Problem]) -> list[str | None]:
    """An outcome of each problem, drawn from the exact distribution of its answers; None where that is not known.

    Not the problem's own label: that of a file may be its likeliest answer.
    """
    generator = np.random.default_rng(
        0
    )  # of its own, so that every model of every arm is compared with the same outcomes
    return [
        problem.options[generator.choice(len(problem.options), p=problem.option_probabilities)]
        if problem.option_probabilities
        else None
        for problem in problems
    ]


def expected_loss(problem: Problem, logs: OptionLogs) -> float:
    """The mean of −log p over the exact distribution of answers, least for the truth itself; NaN where it is not known."""
    if not problem.option_probabilities:
        return float("nan")
    true = np.array(problem.option_probabilities)
    return float(-(true[true > 0] * logs[true > 0]).sum())


def shares(logs: OptionLogs) -> OptionLogs:
    """The distribution over the options alone; NaN where it is none."""
    if not np.isfinite(logs.max()):
        return np.full(len(logs), np.nan)
    raised = np.exp(logs - logs.max())
    found: OptionLogs = raised / raised.sum()
    return found


def distances(problems: Sequence[Problem], options: Sequence[OptionLogs]) -> dict[str, Any]:
    """`option_mass`, and `truth` over the problems whose exact distribution is known; {} where there are no options."""
    masses = [float(np.exp(logs).sum()) for logs in options if len(logs)]
    found: dict[str, Any] = {"option_mass": float(np.mean(masses))} if masses else {}
    known = [(problem, logs) for problem, logs in zip(problems, options, strict=True) if problem.option_probabilities]
    if known:
        given, true = (np.zeros((len(known), max(len(logs) for _, logs in known))) for _ in range(2))
        for row, (problem, logs) in enumerate(known):
            given[row, : len(logs)], true[row, : len(logs)] = shares(logs), problem.option_probabilities
        finite = bool(np.isfinite(given).all())
        report = distribution_report(given, true, seed=0) if finite else DistributionReport.unknown(len(known))
        found["truth"] = report.as_dict()
    return found

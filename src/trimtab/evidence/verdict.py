"""Verdicts on paired comparisons, with all the numbers that a report needs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimtab.errors import ConfigError
from trimtab.evidence.arrays import Floats, Numbers, as_differences, standard_deviation
from trimtab.evidence.claims import Claim
from trimtab.evidence.e_values import sign_flip_e_values, t_e_value
from trimtab.evidence.holm import holm
from trimtab.evidence.intervals import Estimates, estimates
from trimtab.evidence.pairing import Pairing, treatment_wins
from trimtab.evidence.power import pairs_needed
from trimtab.evidence.rule import Ruling, rule, sign_flip_p
from trimtab.evidence.tails import Tail, tail
from trimtab.evidence.wording import estimand, reason, sentence


@dataclass(frozen=True)
class Comparison:
    """Two arms on one metric: `differences` (treatment − baseline, one per unit) on the scale of the claim.

    No `claim` makes it exploratory. `noise_floor`: the SD of A/A differences under the same pairing; `capped`: diverged
    runs among the pairs.
    """

    metric: str
    differences: Numbers
    claim: Claim | None
    baseline: str = "baseline"
    treatment: str = "treatment"
    pairing: Pairing = "seed"
    noise_floor: float | None = None
    capped: int = 0


@dataclass(frozen=True)
class Verdict:
    """One comparison as it is reported; differences are treatment − baseline, in the metric's units.

    `confidence_interval` is the t interval at `level`, 1 − the claim's share of alpha under Holm (infinite ends where no
    spread can be estimated). `p_value` is the sign-flip test's, over the `nonzero` differences; `p_adjusted` is None for
    an exploratory comparison, as are `higher_is_better` (unknown) and `p_win`. `e_value`: the t-e-process, for a trimmed
    claim the sign-flip e-process. `sd_difference` is None for a single pair. `pairs_needed`: for a power of 80% at an effect as
    large as the margin, None where it cannot be computed.
    """

    metric: str
    higher_is_better: bool | None
    baseline: str
    treatment: str
    pairing: Pairing
    estimand: str
    n: int
    nonzero: int
    mean_difference: float
    confidence_interval: tuple[float, float]
    level: float
    p_value: float
    p_adjusted: float | None
    p_win: float | None
    e_value: float
    sd_difference: float | None
    noise_floor: float | None
    tail: Tail
    capped: int
    verdict: Ruling
    claim: str
    reason: str
    sentence: str
    pairs_needed: int | None

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain Python values, the interval as a list (`records.to_json` writes infinite ends as text)."""
        return asdict(self) | {"confidence_interval": list(self.confidence_interval)}


def judge(differences: Numbers, claim: Claim, **about: Any) -> Verdict:
    """The verdict on one claim alone; `about` are further fields of `Comparison`. Raises as `judge_all`."""
    return judge_all([Comparison(claim.metric, as_differences(differences), claim, **about)])[0]


def judge_all(comparisons: Sequence[Comparison], *, seed: int = 0, family: int = 0) -> list[Verdict]:
    """Verdicts on all comparisons of an experiment, in order: Holm over those with a claim, the others estimates.

    `seed` draws the random sign patterns beyond 20 non-zero differences. `family` is the number of planned claims; those
    without data count with p = 1. Raises DataError for differences that are not
    finite, ConfigError where the claims of one experiment name different alphas.
    """
    claimed = [comparison for comparison in comparisons if comparison.claim is not None]
    alphas = sorted({comparison.claim.alpha for comparison in claimed if comparison.claim is not None})
    if len(alphas) > 1:
        raise ConfigError(f"The claims of one experiment share one alpha; found {', '.join(map(str, alphas))}.")
    rows = [as_differences(comparison.differences) for comparison in comparisons]
    results = [_figures(row, comparison, seed) for row, comparison in zip(rows, comparisons, strict=True)]
    members = [index for index, comparison in enumerate(comparisons) if comparison.claim is not None]
    absent = [1.0] * max(0, family - len(members))
    adjusted = holm(
        [*(results[index][1] for index in members), *absent],
        alphas[0] if alphas else 0.05,
        ties=[*(float(results[index][0].p_values()[0]) for index in members), *absent],
    )
    steps: dict[int, tuple[float, float]] = dict(
        zip(members, zip(adjusted.p_adjusted, adjusted.alphas, strict=True), strict=False)
    )
    return [
        _verdict(comparison, rows[index], *results[index], steps.get(index))
        for index, comparison in enumerate(comparisons)
    ]


def _figures(d: Floats, comparison: Comparison, seed: int) -> tuple[Estimates, float]:
    scale = comparison.claim.scale if comparison.claim else "plain"
    nonzero = d[d != 0]
    p = float(sign_flip_p(nonzero[None, :], scale, seed)[0]) if nonzero.size else 1.0
    return estimates(d[None, :], scale), p


def _verdict(
    comparison: Comparison, d: Floats, estimate: Estimates, p: float, step: tuple[float, float] | None
) -> Verdict:
    claim = comparison.claim
    scale = claim.scale if claim else "plain"
    p_adjusted, step_alpha = step if step is not None else (None, 0.05)
    shape = tail(d)
    ruling: Ruling = "estimate only"
    differs = withheld = False
    needed = None
    if claim is not None and p_adjusted is not None:
        ruled = rule(claim, d.size, estimate, np.array([p_adjusted]), step_alpha, np.array([shape.heavy]))
        ruling = str(ruled.ruling[0])  # type: ignore[assignment]
        differs, withheld = bool(ruled.differs[0]), bool(ruled.withheld[0])
        spread = float(estimate.se[0]) * d.size**0.5
        if 0 < spread < float("inf"):
            needed = pairs_needed(claim.margin, spread, alpha=claim.alpha, share=round(claim.alpha / step_alpha))
    low, high = estimate.interval(1 - step_alpha)
    e_value = float(sign_flip_e_values(d)[-1]) if scale == "trimmed" else t_e_value(d)
    figures: dict[str, Any] = {
        "metric": comparison.metric,
        "higher_is_better": claim.higher_is_better if claim else None,
        "baseline": comparison.baseline,
        "treatment": comparison.treatment,
        "pairing": comparison.pairing,
        "estimand": estimand(comparison.pairing, scale),
        "n": d.size,
        "nonzero": int(np.count_nonzero(d)),
        "mean_difference": float(estimate.mean[0]),
        "confidence_interval": (float(low[0]), float(high[0])),
        "level": 1 - step_alpha,
        "p_value": p,
        "p_adjusted": p_adjusted,
        "p_win": treatment_wins(d, claim.higher_is_better) if claim else None,
        "e_value": e_value,
        "sd_difference": standard_deviation(d) if d.size > 1 else None,
        "noise_floor": comparison.noise_floor,
        "tail": shape,
        "capped": comparison.capped,
        "verdict": ruling,
        "claim": claim.text if claim else "none: exploratory",
        "pairs_needed": needed,
    }
    why = reason(figures, claim, estimate, differs, withheld)
    return Verdict(**figures, reason=why, sentence=sentence(figures, d, why))

"""The rule from estimates to a verdict, for many experiments at once. Verdicts and power simulations use the same one."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trimtab.evidence.arrays import Floats
from trimtab.evidence.claims import Claim
from trimtab.evidence.intervals import TRIM, Estimates, Scale, estimates
from trimtab.evidence.sign_flip import clip_magnitudes, sign_flip_p_values
from trimtab.evidence.tails import FEWEST, heavy_rows

FEWEST_PAIRS = FEWEST
"""The fewest pairs of a verdict: an exact two-sided test on five pairs cannot reach p = .05."""

Ruling = Literal["superior", "inferior", "equivalent", "inconclusive", "estimate only"]

_ROUNDING = 1 + 1e-9  # so that rounding does not keep a p equal to α from reaching it


@dataclass(frozen=True)
class Rulings:
    """Per experiment: the ruling, whether both tests exclude 0, and whether the ruling is withheld because of a heavy tail."""

    ruling: np.ndarray[tuple[int], np.dtype[np.str_]]
    differs: np.ndarray[tuple[int], np.dtype[np.bool_]]
    withheld: np.ndarray[tuple[int], np.dtype[np.bool_]]


def sign_flip_p(differences: Floats, scale: Scale, seed: int = 0) -> Floats:
    """The sign-flip p value of each row under a claim's scale: a trimmed claim clips the largest fifth of magnitudes."""
    rows = clip_magnitudes(differences, TRIM) if scale == "trimmed" else differences
    return sign_flip_p_values(rows, seed=seed)


def rule(
    claim: Claim,
    n: int,
    estimate: Estimates,
    p_adjusted: Floats,
    step_alpha: float,
    heavy: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Rulings:
    """The verdict on each experiment of `n` pairs.

    `p_adjusted`: sign-flip p after Holm, compared with the claim's alpha; `step_alpha`: the alpha of this claim's Holm step.
    In this order:

    - under 6 pairs: 'estimate only';
    - the (1 − 2α) interval wholly inside ±margin: 'equivalent', whether or not it excludes 0 (two one-sided tests,
      Schuirmann 1987);
    - adjusted p ≤ α, and the (1 − step_alpha) t interval excludes 0: 'superior' or 'inferior' by its side, unless the
      tail is heavy and the claim's scale is 'plain': then withheld, 'inconclusive';
    - else 'inconclusive'.
    """
    low, high = estimate.interval(1 - step_alpha)
    inner_low, inner_high = estimate.interval(1 - 2 * claim.alpha)
    equivalent = (inner_low > -claim.margin) & (inner_high < claim.margin)
    differs = (p_adjusted <= claim.alpha * _ROUNDING) & ((low > 0) | (high < 0))
    better = (estimate.mean > 0) == claim.higher_is_better
    withheld = differs & heavy & ~equivalent & (claim.scale == "plain")
    ruling = np.where(better, "superior", "inferior")
    ruling = np.where(differs & ~withheld, ruling, "inconclusive")
    ruling = np.where(equivalent, "equivalent", ruling)
    if n < FEWEST_PAIRS:
        ruling = np.full(estimate.mean.shape, "estimate only")
    return Rulings(ruling, differs, withheld & (n >= FEWEST_PAIRS))


def rulings(differences: Floats, claim: Claim, *, share: int = 1, seed: int = 0) -> Rulings:
    """The rule on each row of `differences` (experiments × pairs) as a separate experiment.

    `share`: the Holm step, 1 for a single claim, m for the strictest of m (p is multiplied by it, α divided).
    """
    n = differences.shape[1]
    p = np.minimum(1.0, share * sign_flip_p(differences, claim.scale, seed))
    heavy = heavy_rows(differences)[1] if n >= FEWEST_PAIRS else np.zeros(len(differences), dtype=np.bool_)
    return rule(claim, n, estimates(differences, claim.scale), p, claim.alpha / share, heavy)

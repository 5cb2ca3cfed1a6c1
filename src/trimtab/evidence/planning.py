"""Before the run: what a plan can reach, and a refusal where it cannot."""

from trimtab.errors import ConfigError
from trimtab.evidence.claims import LEVELS, is_level
from trimtab.evidence.intervals import Scale
from trimtab.evidence.power import MOST_PAIRS, confirmable_claims, pairs_needed, power, smallest_p
from trimtab.evidence.rule import FEWEST_PAIRS
from trimtab.evidence.sign_flip import EXACT_UP_TO

PLANNED_PAIRS = 12
"""Pairs planned by default."""

_EFFECTS = (0.5, 1.0, 1.5, 2.0)


def plan(
    n: int = PLANNED_PAIRS,
    claims: int = 1,
    *,
    alpha: float = 0.05,
    margin: float | None = None,
    sd: float | None = None,
    min_power: float | None = None,
    scale: Scale = "plain",
    seed: int = 0,
) -> str:
    """What `n` pairs can show on `claims` claims, as text: reachable p, power, and pairs needed for the margin.

    `margin` (the smallest difference that matters) and `sd` (of a paired difference, from a pilot or the noise floor) are in
    the metric's units. `min_power` is the power in (0, 1) that the plan needs at an effect as large as the margin, at the
    strictest Holm step; `scale` is the claims'. Raises ConfigError for a plan that cannot reach its own level (under 6
    pairs, or more claims than 2 / 2ⁿ allows) and for one that falls short of its min_power.
    """
    _reachable(n, claims, alpha)
    if min_power is not None and (margin is None or sd is None or not 0 < min_power < 1):
        raise ConfigError(
            "A required power (`min_power`) is a number between 0 and 1 and needs the margin and the SD of a paired difference "
            "(from a pilot, or the noise floor)."
        )
    step = (
        f"one of {claims} claims, at the strictest Holm step (alpha {alpha / claims:.3g})"
        if claims > 1
        else "the claim"
    )
    lines = [
        f"{n} pairs, {_count(claims, 'claim')}, alpha {alpha:g}.",
        f"The smallest two-sided sign-flip p is 2/2^{n} = {smallest_p(n):.2g}: {_confirmable(n, alpha)} "
        "claims can be confirmed at once under Holm.",
        f"Chance of 'superior' for {step}, by the size of the effect in SDs of a paired difference"
        + (" (simulated):" if n <= EXACT_UP_TO else " (simulated, by the t test):"),
    ]
    lines += [
        f"  {d:g} SD: {power(d, n, share=claims, alpha=alpha, scale=scale, seed=seed).verdict:.2f}" for d in _EFFECTS
    ]
    if margin is not None and sd is not None:
        needed = pairs_needed(margin, sd, alpha=alpha, share=claims)
        reached = power(margin / sd, n, share=claims, alpha=alpha, scale=scale, seed=seed).verdict
        lines.append(
            f"An effect as large as the margin ({margin:g}, SD {sd:g}, so {margin / sd:.2g} SD): {reached:.2f}; "
            f"{_pairs(needed)} would give the t test a power of 0.80."
        )
        if min_power is not None and reached < min_power:
            enough = pairs_needed(margin, sd, alpha=alpha, share=claims, wanted=min_power)
            raise ConfigError(
                f"This plan needs a power of {min_power:g} and has {reached:.2f} at an effect of {margin:g} (SD {sd:g}, "
                f"{n} pairs, {_count(claims, 'claim')}). Plan {_pairs(enough)} "
                "or a few more, fewer claims, or a larger margin."
            )
    return "\n".join(lines)


def _reachable(n: int, claims: int, alpha: float) -> None:
    if claims < 1 or not is_level(alpha):
        raise ConfigError(f"A plan has at least one claim, and an alpha of {LEVELS}; found {claims} and {alpha}.")
    if n < FEWEST_PAIRS:
        raise ConfigError(
            f"{_count(n, 'pair')} cannot give a verdict; at least {FEWEST_PAIRS} are needed (with 5, the smallest two-sided "
            f"sign-flip p is {smallest_p(5):g}). Plan {PLANNED_PAIRS} if you can."
        )
    if claims > confirmable_claims(n, alpha):
        enough = next(pairs for pairs in range(n, 10_000) if confirmable_claims(pairs, alpha) >= claims)
        raise ConfigError(
            f"{n} pairs cannot confirm {_count(claims, 'claim')} at alpha {alpha:g}: the smallest sign-flip p, "
            f"{smallest_p(n):.2g}, times {claims} is {smallest_p(n) * claims:.2g}. Plan {enough} pairs, or at most "
            f"{_count(confirmable_claims(n, alpha), 'claim')}."
        )


def _confirmable(n: int, alpha: float) -> str:
    most = confirmable_claims(n, alpha)
    return f"up to {most}" if most <= 1_000_000 else "more than a million"


def _pairs(needed: int | None) -> str:
    return f"more than {MOST_PAIRS:.0e} pairs" if needed is None else f"{needed} pairs"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

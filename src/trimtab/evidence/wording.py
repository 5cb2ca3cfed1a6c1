"""Verdicts in plain words: the estimand, the reason and one sentence to quote."""

import math
from collections.abc import Mapping
from typing import Any

from trimtab.evidence.arrays import Floats
from trimtab.evidence.claims import Claim
from trimtab.evidence.intervals import Estimates, Scale
from trimtab.evidence.pairing import Pairing, given_action
from trimtab.evidence.power import smallest_p
from trimtab.evidence.rule import FEWEST_PAIRS

_AVERAGE: dict[Scale, str] = {
    "plain": "mean difference",
    "trimmed": "mean difference without the most extreme fifth at either end",
    "log": "mean difference of logarithms",
}
_PAIRS: dict[Pairing, str] = {
    "seed": "cold start, paired by seed",
    "fork": "forked from a shared state, one unit per trunk",
}


def estimand(pairing: Pairing, scale: Scale) -> str:
    """What the mean difference estimates: cold-start and forked effects are different quantities."""
    return f"{_AVERAGE[scale]}, {_PAIRS[pairing]}"


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage with `digits` decimals: 0.95 as `95%`, 0.9833 as `98.3%`.

    Only 0 is written `0%` and only 1 `100%`: a share close to them gets as many decimals as it takes, 0.99995 as `99.995%`.
    """
    while 0 < share < 1 and digits < 15 and round(100 * share, digits) in (0.0, 100.0):
        digits += 1
    return f"{round(100 * share, digits):.15g}%"


def _signed(value: float) -> str:
    return f"{value:+.4g}" if value else "0"


def reason(figures: Mapping[str, Any], claim: Claim | None, estimate: Estimates, differs: bool, withheld: bool) -> str:
    """Why the verdict is what it is, in one sentence without its full stop."""
    n, nonzero = figures["n"], figures["nonzero"]
    if claim is None:
        return "no claim was made on it before the run"
    if figures["verdict"] == "estimate only":
        pairs = "1 pair is" if n == 1 else f"{n} pairs are"
        return f"{pairs} too few for a verdict, which takes {FEWEST_PAIRS} at least"
    inner = f"the {percent(1 - 2 * claim.alpha)} interval lies wholly inside ±{claim.margin:g}"
    if figures["verdict"] == "equivalent":
        if nonzero == 0:
            return f"the arms gave exactly the same result in all {n} pairs"
        # Under a heavy tail both tests err too often to call a difference real.
        real = differs and not (figures["tail"].heavy and claim.scale == "plain")
        return f"real, and too small to matter: both tests exclude 0, and {inner}" if real else inner
    both = f"the sign-flip test and the {percent(figures['level'])} t interval both exclude 0"
    if withheld:
        return (
            f"{both}, but the tail of the differences is heavy (1 − W′ = {figures['tail'].measure:.2f}), where they err too "
            f"often; '{figures['treatment']}' may only win or lose by a trimmed or log-scale claim planned before the run"
        )
    if differs:
        return both
    if not math.isfinite(estimate.se[0]):
        which = "the differences left after trimming" if claim.scale == "trimmed" else f"all {n} differences"
        return f"{which} are equal (copies? rounding?), so their spread cannot be estimated"
    low, high = figures["confidence_interval"]
    t_excludes = low > 0 or high < 0
    step = 1 - figures["level"]
    if smallest_p(nonzero) > step * (1 + 1e-9):
        return (
            f"with {nonzero} differences other than 0 the sign-flip p cannot fall below {smallest_p(nonzero):.2g}, "
            f"and {step:.2g} is required"
        )
    if figures["p_adjusted"] <= claim.alpha:
        return "the sign-flip test excludes 0, the t interval does not"
    return "the t interval excludes 0, the sign-flip test does not" if t_excludes else "neither test excludes 0"


def sentence(figures: Mapping[str, Any], d: Floats, why: str) -> str:
    """One sentence with the numbers, ready to quote."""
    low, high = figures["confidence_interval"]
    interval = (
        "no interval" if math.isinf(low) else f"{percent(figures['level'])} interval {_signed(low)} to {_signed(high)}"
    )
    n = figures["n"]
    pairs = f"{n} {figures['pairing']} pair{'s' if n > 1 else ''}"
    parts = [interval, pairs]
    if figures["p_adjusted"] is not None:
        adjusted = "adjusted " if figures["p_adjusted"] != figures["p_value"] else ""
        parts += [
            f"{adjusted}sign-flip p {figures['p_adjusted']:.2g}",
            f"better in {figures['p_win'] * n:g} of {n}{' (a tie is half)' if figures['nonzero'] < n else ''}",
        ]
    else:
        parts.append(f"sign-flip p {figures['p_value']:.2g}, not adjusted")
    if figures["capped"]:
        parts.append(f"{figures['capped']} diverged run{'s' if figures['capped'] > 1 else ''} capped")
    if figures["noise_floor"] is not None:
        parts.append(f"A/A noise floor {figures['noise_floor']:.2g}")
    acted = given_action(d) if 0 < figures["nonzero"] < n else None
    if acted is not None:
        parts.append(f"{_signed(acted.mean)} over the {acted.n} pairs that differ at all")
    label = figures["verdict"] if figures["p_adjusted"] is not None else "exploratory"
    logs = " in log units" if figures["estimand"].startswith(_AVERAGE["log"]) else ""
    trimmed = "trimmed mean " if figures["estimand"].startswith(_AVERAGE["trimmed"]) else ""
    return (
        f"{figures['treatment']} against {figures['baseline']}, {figures['metric']}: {label}; "
        f"{trimmed}difference {_signed(figures['mean_difference'])}{logs} ({', '.join(parts)}): {why}."
    )

"""Several claims in one experiment: Holm's step-down adjustment."""

from dataclasses import dataclass

from trimtab.evidence.arrays import Numbers


@dataclass(frozen=True)
class Holm:
    """Adjusted p values, and the share of α at which each claim was tested (its interval has the level 1 − that share)."""

    p_adjusted: tuple[float, ...]
    alphas: tuple[float, ...]


def holm(p_values: Numbers, alpha: float = 0.05, ties: Numbers | None = None) -> Holm:
    """Holm's adjustment (1979): the chance of any false claim stays at most α.

    The k-th smallest of m p values is tested at α / (m − k + 1); its adjusted p is the largest (m − j + 1) p_(j) over
    j ≤ k, at most 1. `ties` orders equal p values (smaller first), else their order in the list does: exact p values are
    often equal, and the strictest step should go to the claim with the strongest evidence.
    """
    p = [float(value) for value in p_values]
    second = p if ties is None else [float(value) for value in ties]
    order = sorted(range(len(p)), key=lambda index: (p[index], second[index]))
    adjusted, alphas = [1.0] * len(p), [alpha] * len(p)
    reached = 0.0
    for rank, index in enumerate(order):
        left = len(p) - rank
        reached = max(reached, min(1.0, left * p[index]))
        adjusted[index], alphas[index] = reached, alpha / left
    return Holm(tuple(adjusted), tuple(alphas))

"""A/A tests: the noise floor of two equal arms, and how often the verdict rule calls a difference between them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trimtab.errors import ConfigError, DataError
from trimtab.evidence.arrays import Floats, Numbers, as_differences, standard_deviation
from trimtab.evidence.binomial import binomial_interval
from trimtab.evidence.claims import Claim
from trimtab.evidence.pairing import paired_differences
from trimtab.evidence.rule import rulings

Bank = Mapping[Hashable, Numbers]
"""Metric values, by trunk or seed, of real runs that differ only in an irrelevant stream (the dropout draw)."""

Roles = Literal["drawn", "kept"]


@dataclass(frozen=True)
class FalseAlarms:
    """Of `draws` A/A experiments of `n` pairs, how many were called superior or inferior, with the `level` interval.

    `low` and `high` are the Clopper-Pearson (1934) interval. It covers the error of the resampling, given the bank, and not
    the error of a small bank. `verdicts` counts every verdict; `groups` and `runs` are the size of the bank.
    """

    n: int
    draws: int
    alarms: int
    rate: float
    low: float
    high: float
    level: float
    verdicts: dict[str, int]
    groups: int
    runs: int
    roles: Roles


def noise_floor(differences: Numbers) -> float:
    """The SD of the paired differences of an A/A pair set (n − 1 in the denominator), in the metric's units.

    Raises DataError for fewer than two differences or one that is not finite.
    """
    d = as_differences(differences, "A/A differences")
    if d.size < 2:
        raise DataError("A noise floor needs at least two A/A differences; found one.")
    return standard_deviation(d)


def aa_false_alarms(
    bank: Bank, n: int, claim: Claim, *, draws: int = 500, seed: int = 0, roles: Roles = "drawn", level: float = 0.95
) -> FalseAlarms:
    """The rule's false-alarm rate on real runs: `draws` A/A experiments resampled from a bank, each judged as `claim`.

    An experiment draws n of the bank's groups (without replacement if there are enough) and two different runs from each.
    With roles 'drawn' the first one drawn is the baseline, so both orders of a pair are equally likely and the null hypothesis
    holds exactly, whatever the mean of the bank: this tests the rule on differences of a realistic shape. With 'kept' the
    earlier run of the group is always the baseline. That reveals an effect of the order (a second run on a warmer machine),
    but the chance mean of a small bank then counts as an effect.

    Raises DataError for a group of fewer than two runs or a value that is not finite, ConfigError for under 6 pairs.
    """
    if n < 6 or draws < 1:
        raise ConfigError(f"A/A experiments need at least 6 pairs and one draw; found {n} pairs and {draws} draws.")
    differences = _drawn(bank, n, claim, draws, np.random.default_rng(seed), roles)
    ruled = rulings(differences, claim, seed=seed).ruling
    names, counts = np.unique(ruled, return_counts=True)
    verdicts = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    alarms = verdicts.get("superior", 0) + verdicts.get("inferior", 0)
    low, high = binomial_interval(alarms, draws, level)
    runs = sum(len(values) for values in bank.values())
    return FalseAlarms(n, draws, alarms, alarms / draws, low, high, level, verdicts, len(bank), runs, roles)


def _drawn(bank: Bank, n: int, claim: Claim, draws: int, generator: np.random.Generator, roles: Roles) -> Floats:
    groups = [as_differences(values, f"bank's values of group {name}") for name, values in bank.items()]
    if not groups:
        raise DataError("The bank of A/A runs is empty.")
    if short := [name for name, values in bank.items() if len(values) < 2]:
        raise DataError(f"Group {short[0]} of the A/A bank has one run; a pair needs two of the same group.")
    rows = []
    for _ in range(draws):
        chosen = generator.choice(len(groups), size=n, replace=n > len(groups))
        pairs = [generator.choice(groups[index].size, size=2, replace=False) for index in chosen]
        if roles == "kept":
            pairs = [np.sort(pair) for pair in pairs]
        values = np.array([groups[index][pair] for index, pair in zip(chosen, pairs, strict=True)])
        rows.append(paired_differences(values[:, 0], values[:, 1], claim.scale))
    return np.stack(rows)

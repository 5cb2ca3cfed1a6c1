"""Verdicts on a whole table: first on the claims, then estimates of everything else."""

from collections.abc import Sequence

import numpy as np

from trimtab.boundary import listed
from trimtab.errors import ConfigError, DataError
from trimtab.evidence.arrays import Floats
from trimtab.evidence.capping import cap
from trimtab.evidence.cells import shown
from trimtab.evidence.claims import Claim
from trimtab.evidence.false_alarms import noise_floor
from trimtab.evidence.intervals import Scale
from trimtab.evidence.pairing import Pairing, paired_differences, trunk_means
from trimtab.evidence.table import Table
from trimtab.evidence.verdict import Comparison, Verdict, judge_all


def judge_table(
    table: Table,
    claims: Sequence[Claim] = (),
    *,
    baseline: str | None = None,
    pairing: Pairing | None = None,
    repeat: str | None = None,
    seed: int = 0,
) -> list[Verdict]:
    """Every arm against the baseline on every metric: verdicts on the claims (Holm over all of them), else estimates.

    A claim is made of every arm but the baseline: two claims on three arms are four comparisons in one Holm family.
    `baseline`: an arm; None takes the one called 'baseline', else the file's first. `pairing`: None takes 'fork' for a
    table with trunks, else 'seed'; with 'fork' the futures of a trunk are averaged to one difference. `repeat`: an arm that
    differs from the baseline in nothing that matters; its differences are the noise floor, and it is not judged. Diverged
    runs and values that are not finite are capped at the untrained model's metric and counted. Raises ConfigError for an
    unknown arm or metric or two claims on one metric, DataError for a diverged run without an untrained value, or for
    seed pairs that share a trunk.
    """
    first = _baseline(table, baseline)
    if repeat is not None and (repeat not in table.arms or repeat == first):
        raise ConfigError(
            f"The arm that repeats the baseline is one other than '{shown(first)}'; found '{repeat}'. "
            f"Arms: {listed(table.arms)}."
        )
    way = _pairing(table, pairing)
    by_metric = _by_metric(table, claims)
    others = [arm for arm in table.arms if arm not in (first, repeat)]
    if not others:
        raise ConfigError(
            f"{table.source}: there is no arm to judge other than the baseline and the arm that repeats it."
        )

    def compared(arm: str, metric: str) -> Comparison:
        claim = by_metric.get(metric)
        d, capped = _differences(table, first, arm, metric, claim, way)
        floor = None if repeat is None else _differences(table, first, repeat, metric, claim, way)[0]
        return Comparison(
            metric, d, claim, first, arm, way, None if floor is None or floor.size < 2 else noise_floor(floor), capped
        )

    ordered = [*by_metric, *(metric for metric in table.metrics if metric not in by_metric)]
    return judge_all([compared(arm, metric) for metric in ordered for arm in others], seed=seed)


def _baseline(table: Table, name: str | None) -> str:
    if name is None:
        return "baseline" if "baseline" in table.arms else table.arms[0]
    if name not in table.arms:
        raise ConfigError(f"{table.source} has no arm '{name}' to be the baseline. Arms: {listed(table.arms)}.")
    return name


def _pairing(table: Table, pairing: Pairing | None) -> Pairing:
    if pairing is None:
        return "fork" if table.has_trunks else "seed"
    if pairing not in ("seed", "fork"):
        raise ConfigError(f"The pairing is 'seed' or 'fork'; found '{pairing}'.")
    trunks = [trunk for trunk, _ in table.keys]
    if pairing == "seed" and len(set(trunks)) < len(trunks):
        shared = next(trunk for trunk in trunks if trunks.count(trunk) > 1)
        raise DataError(
            f"{table.source}: trunk {shown(shared)} has several forks, which are not independent pairs. Use --pairing fork: the "
            "differences of all forks of a trunk are averaged."
        )
    return pairing


def _by_metric(table: Table, claims: Sequence[Claim]) -> dict[str, Claim]:
    by_metric: dict[str, Claim] = {}
    for claim in claims:
        if claim.metric not in table.metrics:
            raise ConfigError(
                f"{table.source} has no metric '{shown(claim.metric)}' to make a claim on. Metrics: {listed(table.metrics)}."
            )
        if claim.metric in by_metric:
            raise ConfigError(f"There are two claims on '{shown(claim.metric)}'; a metric takes one.")
        by_metric[claim.metric] = claim
    return by_metric


def _differences(
    table: Table, first: str, arm: str, metric: str, claim: Claim | None, pairing: Pairing
) -> tuple[Floats, int]:
    better = None if claim is None else claim.higher_is_better
    scale: Scale = "plain" if claim is None else claim.scale
    (one, a), (other, b) = (_capped(table, name, metric, better) for name in (first, arm))
    try:
        d = paired_differences(one, other, scale)
    except DataError as error:
        raise DataError(f"{table.source}, column '{shown(metric)}': {error}") from None
    if pairing == "fork":
        d = trunk_means(d, [trunk for trunk, _ in table.keys])[1]
    return d, a + b


def _capped(table: Table, arm: str, metric: str, better: bool | None) -> tuple[Floats, int]:
    values, untrained = table.values[arm, metric], table.untrained[arm, metric]
    flags = table.diverged[arm] | ~np.isfinite(values)
    name = shown(metric)
    if lacking := np.flatnonzero(flags & ~np.isfinite(untrained)).tolist():
        raise DataError(
            f"{table.source}, line {table.lines[arm][lacking[0]]}: this run diverged ({name} {values[lacking[0]]:g}) and the "
            f"file does not give the {name} of the untrained model. Add it as a column 'untrained_{name}': a "
            "diverged run is capped at it, never dropped."
        )
    capped = cap(values, flags, untrained, better)
    return capped.values, capped.count

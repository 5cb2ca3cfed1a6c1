"""The paired differences in the claimed metric, by treatment."""

from typing import Any

import numpy as np

from trimtab.boundary import counted
from trimtab.records.experiment_files import VerdictRecord
from trimtab.reports.blocks import (
    Block,
    Plot,
    Plots,
    Section,
    Table,
    Text,
    figure,
    interval,
    signed,
)
from trimtab.reports.drawing import Look, file_name, fit, legend, looks, plot
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.style import INK, VIOLET

KEY, TITLE = "differences", "Paired differences"


def differences(records: ExperimentRecords) -> Section:
    """A plot and a table row per treatment, and a table of all pairs."""
    if not records.claims:
        return Section(
            KEY, TITLE, (Text("There is no verdict yet, so there are no paired differences to show.", "missing"),)
        )
    claim = records.spec.claim
    units = " (differences of logarithms)" if claim.scale == "log" else ""
    better = "above" if claim.higher_is_better else "below"
    verdicts = list(records.claims.values())
    floor = noise(records)
    blocks: list[Block] = [
        Text(
            f"Treatment − baseline in {claim.metric}{units}, one mark per seed; {better} zero the treatment is better. "
            f"The shaded band is the margin, ±{claim.margin:g}: smaller differences do not matter. "
            "'Pairs needed' is the number of pairs that would detect a difference as large as the margin with 80% power."
        ),
        Plots(tuple(_plot(records, verdict, floor) for verdict in verdicts)),
        _summary(verdicts, trimmed=records.spec.claim.scale == "trimmed"),
    ]
    if floor is None:
        blocks.append(Text("The noise floor is not known: no A/A pairs were recorded with this experiment.", "missing"))
    else:
        blocks.append(
            Text(
                f"Noise floor (dashed lines): between two arms that differ only in their dropout draw, the difference has a "
                f"standard deviation of {floor:.3g}."
            )
        )
    return Section(KEY, TITLE, (*blocks, _pairs(verdicts)))


def noise(records: ExperimentRecords) -> float | None:
    """The noise floor of the claimed metric, from `noise_floor.json` or else from the verdicts; None where it is not known."""
    known = records.noise
    if known is not None and known.metric == records.spec.claim.metric:
        return known.noise_floor
    return next((f.noise_floor for f in records.claims.values() if f.noise_floor is not None), None)


def _plot(records: ExperimentRecords, verdict: VerdictRecord, floor: float | None) -> Plot:
    margin = records.spec.claim.margin
    look = looks(records.arms).get(verdict.treatment, Look(INK, "o", "-"))
    low, high = verdict.confidence_interval

    def draw(figure: Any, axes: Any) -> None:
        places = np.arange(len(verdict.seeds))
        values = np.array(verdict.differences)
        band = axes.axhspan(-margin, margin, color=VIOLET, alpha=0.14, lw=0)
        axes.axhline(0.0, color=INK, lw=1.0)
        handles, names = [band], [f"margin ±{margin:g}"]
        if floor is not None:
            line = axes.axhline(floor, color=VIOLET, lw=1.1, ls=(0, (3, 2)))
            axes.axhline(-floor, color=VIOLET, lw=1.1, ls=(0, (3, 2)))
            handles.append(line)
            names.append(f"noise floor ±{floor:.2g}")
        if values.any():
            (dots,) = axes.plot(places[values != 0], values[values != 0], look.marker, color=look.colour, ms=5.5)
            handles.append(dots)
            names.append("one pair")
        if (values == 0).any():
            (ring,) = axes.plot(places[values == 0], values[values == 0], "o", mfc="none", mec=look.colour, ms=8)
            handles.append(ring)
            names.append("exactly 0")
        known = np.isfinite([low, high]).all()
        error = [[verdict.mean_difference - low], [high - verdict.mean_difference]] if known else None
        at = len(places) + 0.6
        bar = axes.errorbar(
            [at], [verdict.mean_difference], yerr=error, fmt="_", color=look.colour, lw=2.2, ms=15, mew=2.4, capsize=4
        )
        handles.append(bar)
        names.append(f"mean, {100 * verdict.level:.3g}% interval" if known else "mean")
        shown = [*values, margin, -margin, *([low, high] if known else []), *([floor, -floor] if floor else [])]
        fit(axes, shown)
        every = max(1, len(places) // 12)
        ticks = [tick for tick in range(0, len(places), every) if at - places[tick] > 0.6 * every]
        axes.set_xticks(
            [*(places[tick] for tick in ticks), at], [*(str(verdict.seeds[tick]) for tick in ticks), "mean"]
        )
        axes.set_xlim(-0.7, at + 0.7)
        axes.set_xlabel("seed")
        axes.set_ylabel("treatment − baseline")
        axes.grid(visible=False, axis="x")
        legend(figure, handles, names)

    arms = f"{verdict.treatment} against {verdict.baseline}"
    zeros = sum(difference == 0 for difference in verdict.differences)
    return plot(
        file_name("differences", list(records.claims).index(verdict.treatment) + 1, verdict.treatment),
        arms,
        f"Paired differences in {verdict.metric}, {arms}: mean {signed(verdict.mean_difference)}, "
        f"{100 * verdict.level:.3g}% interval {interval(low, high)}, {counted(verdict.n, 'pair')}, {zeros} exactly 0, "
        f"margin plus or minus {margin:g}.",
        draw,
    )


def _summary(verdicts: list[VerdictRecord], *, trimmed: bool) -> Table:
    average = "trimmed mean difference" if trimmed else "mean difference"
    columns = (
        "treatment", "verdict", "pairs", "exactly 0", average, "SD", "interval", "level", "adjusted p",
        "pairs better", "pairs needed",
    )  # fmt: skip
    rows = tuple(
        (
            f.treatment,
            f.verdict,
            str(f.n),
            str(sum(difference == 0 for difference in f.differences)),
            signed(f.mean_difference),
            figure(f.sd_difference, 3),
            interval(*f.confidence_interval),
            f"{100 * f.level:.3g}%",
            figure(f.p_adjusted, 2),
            figure(None if f.p_win is None else f.p_win * f.n, 3),
            figure(None if f.pairs_needed is None else float(f.pairs_needed)),
        )
        for f in verdicts
    )
    return Table("The claim, by treatment", columns, rows, words=frozenset({0, 1}))


def _pairs(verdicts: list[VerdictRecord]) -> Table:
    rows = tuple(
        (f.treatment, str(seed), figure(base, 6), figure(treated, 6), signed(difference))
        for f in verdicts
        for seed, base, treated, difference in zip(
            f.seeds, f.baseline_values, f.treatment_values, f.differences, strict=True
        )
    )
    return Table(
        "All pairs", ("treatment", "seed", "baseline", "treatment value", "difference"), rows, folded=len(rows) > 8
    )

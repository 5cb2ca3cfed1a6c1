"""Every pair's difference in the claimed metric, by treatment."""

from typing import Any

import numpy as np

from trimtab.boundary import counted
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
from trimtab.reports.experiment.contract import Finding
from trimtab.reports.experiment.records import Records
from trimtab.reports.style import INK, VIOLET

KEY, TITLE = "differences", "The paired differences"


def differences(records: Records) -> Section:
    """A plot and a row for each treatment, and a table of the pairs."""
    if not records.claims:
        return Section(KEY, TITLE, (Text("No pair is judged yet, so there is nothing to show here.", "missing"),))
    claim = records.design.claim
    units = " (differences of logarithms)" if claim.scale == "log" else ""
    better = "above" if claim.higher_is_better else "below"
    found = list(records.claims.values())
    floor = noise(records)
    blocks: list[Block] = [
        Text(
            f"Treatment − baseline in {claim.metric}{units}, one mark a seed; {better} zero the treatment is better. "
            f"The shaded band is the margin, ±{claim.margin:g}: what lies within it is too small to matter. "
            "'Pairs needed' is for an 80% chance to tell a difference as large as the margin from zero."
        ),
        Plots(tuple(_plot(records, finding, floor) for finding in found)),
        _summary(found, trimmed=records.design.claim.scale == "trimmed"),
    ]
    if floor is None:
        blocks.append(Text("The noise floor is not known: no A/A pairs were recorded with this experiment.", "missing"))
    else:
        blocks.append(
            Text(
                f"Noise floor: the difference between two arms that differ in nothing that matters has the standard "
                f"deviation {floor:.3g} (the dashed lines)."
            )
        )
    return Section(KEY, TITLE, (*blocks, _pairs(found)))


def noise(records: Records) -> float | None:
    """The noise floor of the claimed metric: of its own file, else of the verdicts."""
    known = records.noise
    if known is not None and known.metric == records.design.claim.metric:
        return known.noise_floor
    return next((f.noise_floor for f in records.claims.values() if f.noise_floor is not None), None)


def _plot(records: Records, finding: Finding, floor: float | None) -> Plot:
    margin = records.design.claim.margin
    look = looks(records.design.order).get(finding.treatment, Look(INK, "o", "-"))
    low, high = finding.confidence_interval

    def draw(figure: Any, axes: Any) -> None:
        places = np.arange(len(finding.seeds))
        values = np.array(finding.differences)
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
            names.append("a pair")
        if (values == 0).any():
            (ring,) = axes.plot(places[values == 0], values[values == 0], "o", mfc="none", mec=look.colour, ms=8)
            handles.append(ring)
            names.append("exactly 0")
        known = np.isfinite([low, high]).all()
        error = [[finding.mean_difference - low], [high - finding.mean_difference]] if known else None
        at = len(places) + 0.6
        bar = axes.errorbar(
            [at], [finding.mean_difference], yerr=error, fmt="_", color=look.colour, lw=2.2, ms=15, mew=2.4, capsize=4
        )
        handles.append(bar)
        names.append(f"mean, {100 * finding.level:.3g}% interval" if known else "mean")
        shown = [*values, margin, -margin, *([low, high] if known else []), *([floor, -floor] if floor else [])]
        fit(axes, shown)
        every = max(1, len(places) // 12)
        axes.set_xticks([*places[::every], at], [*(str(s) for s in finding.seeds[::every]), "mean"])
        axes.set_xlim(-0.7, at + 0.7)
        axes.set_xlabel("seed")
        axes.set_ylabel("treatment − baseline")
        axes.grid(visible=False, axis="x")
        legend(figure, handles, names)

    words = f"{finding.treatment} against {finding.baseline}"
    zeros = sum(difference == 0 for difference in finding.differences)
    return plot(
        file_name("differences", list(records.claims).index(finding.treatment) + 1, finding.treatment),
        words,
        f"Paired differences in {finding.metric}, {words}: mean {signed(finding.mean_difference)}, "
        f"{100 * finding.level:.3g}% interval {interval(low, high)}, {counted(finding.n, 'pair')}, {zeros} exactly 0, "
        f"margin plus or minus {margin:g}.",
        draw,
    )


def _summary(found: list[Finding], *, trimmed: bool) -> Table:
    average = "trimmed mean difference" if trimmed else "mean difference"
    columns = (
        "treatment", "verdict", "pairs", "exactly 0", average, "SD", "interval", "level", "adjusted p",
        "better in", "pairs needed",
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
        for f in found
    )
    return Table("The claim, by treatment", columns, rows, words=frozenset({0, 1}))


def _pairs(found: list[Finding]) -> Table:
    rows = tuple(
        (f.treatment, str(seed), figure(base, 6), figure(treated, 6), signed(difference))
        for f in found
        for seed, base, treated, difference in zip(
            f.seeds, f.baseline_values, f.treatment_values, f.differences, strict=True
        )
    )
    return Table(
        "All pairs", ("treatment", "seed", "baseline", "treatment's value", "difference"), rows, folded=len(rows) > 8
    )

"""How steady the arms were: unstable steps in their runs, and the spread of the final metric over seeds."""

import math
from typing import Any

import numpy as np

from trimtab.boundary import counted
from trimtab.reports.blocks import Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, fit, looks, plot
from trimtab.reports.experiment.effects import spread
from trimtab.reports.experiment.records import Records

COUNTED = ("unstable_steps", "flagged_steps", "skipped_steps", "rewinds")


def instability(records: Records) -> Section:
    """Unstable, flagged and skipped steps, rewinds and divergences, a row an arm."""
    key, title = "instability", "Instability"
    rows = []
    for arm in records.design.order:
        ended = [episode for episode in records.of(arm) if episode.finished]
        if not ended:
            continue
        diverged = sum(episode.status == "diverged" for episode in ended)
        cells = [
            _counts([e.figures[f"stability.{n}"] for e in ended if f"stability.{n}" in e.figures]) for n in COUNTED
        ]
        rows.append((arm, str(len(ended)), *cells, f"{diverged} of {len(ended)}"))
    if not rows:
        return Section(key, title, (Text("No run has ended yet, so nothing is counted.", "missing"),))
    columns = ("arm", "runs", "unstable steps", "flagged steps", "skipped steps", "rewinds", "diverged runs")
    about = (
        "Mean a run ± standard deviation over the runs, and the smallest and largest in brackets. A step is unstable by the "
        "monitor's regime, flagged when its loss or gradient norm is an outlier. The steps that a fork "
        "shares with its baseline count as its own."
    )
    return Section(key, title, (Text(about), Table("Events by arm", columns, tuple(rows))))


def _counts(values: list[float]) -> str:
    if not values:
        return figure(None)
    low, high = min(values), max(values)
    return f"{spread(values)} [{low:g}, {high:g}]" if low < high else f"{low:g}"


def final_values(records: Records) -> dict[str, list[tuple[int, float]]]:
    """The claimed metric by arm and seed: of the verdicts' pairs, else of the runs that have ended.

    Over factors the latter is the mean over their cells, of seeds whose cells have all ended; a derived metric needs verdicts.
    """
    design = records.design
    found: dict[str, dict[int, float]] = {}
    for finding in records.claims.values():
        found.setdefault(design.baseline, {}).update(zip(finding.seeds, finding.baseline_values, strict=True))
        found.setdefault(finding.treatment, {}).update(zip(finding.seeds, finding.treatment_values, strict=True))
    if not found and records.source == design.claim.metric:
        for arm in design.order:
            for seed in design.seed_list:
                own = [
                    e.figures.get(design.claim.metric, math.nan)
                    for e in records.of(arm)
                    if e.seed == seed and e.finished
                ]
                if len(own) == len(records.cells) and all(map(math.isfinite, own)):
                    found.setdefault(arm, {})[seed] = float(np.mean(own))
    return {arm: sorted(found[arm].items()) for arm in design.order if found.get(arm)}


def sd_interval(values: list[float], level: float = 0.95) -> tuple[float, float, float]:
    """The standard deviation (n − 1) and its interval from the χ² distribution, which takes the values to be normal.

    NaN for fewer than two values.
    """
    from scipy.special import gammaincinv

    n = len(values)
    if n < 2:
        return math.nan, math.nan, math.nan
    sd, half = float(np.std(values, ddof=1)), (n - 1) / 2
    low, high = (2 * float(gammaincinv(half, p)) for p in (0.5 - level / 2, 0.5 + level / 2))
    return sd, sd * math.sqrt((n - 1) / high), sd * math.sqrt((n - 1) / low)


def variance(records: Records) -> Section:
    """The final metric of every seed, by arm, and its standard deviation."""
    key, title, metric = "variance", "Spread over seeds", records.design.claim.metric
    found = final_values(records)
    if not found:
        return Section(key, title, (Text(f"No run has ended with a {metric} yet.", "missing"),))
    rows = []
    for arm, pairs in found.items():
        values = [value for _, value in pairs]
        sd, low, high = sd_interval(values)
        known = figure(None) if math.isnan(sd) else f"{low:.3g} to {high:.3g}"
        extremes = f"{min(values):.4g} to {max(values):.4g}"
        rows.append((arm, str(len(values)), figure(float(np.mean(values)), 5), figure(sd, 3), known, extremes))
    about = (
        f"{metric} at the end of every seed. The interval of the standard deviation (95%) takes the values to be normal; that of "
        "two arms overlapping says little, as their seeds are shared."
    )
    if records.design.episodes == "training":
        about += " A diverged run's loss is the untrained model's."
    columns = ("arm", "seeds", "mean", "SD", "95% interval of the SD", "range")
    table = Table(f"{metric} by arm", columns, tuple(rows))
    return Section(key, title, (Text(about), Plots((_strip(records, found),)), table))


def _strip(records: Records, found: dict[str, list[tuple[int, float]]]) -> Plot:
    metric = records.design.claim.metric

    def draw(figure: Any, axes: Any) -> None:
        styles = looks(records.design.order)
        for place, (arm, pairs) in enumerate(found.items()):
            values = [value for _, value in pairs]
            across = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
            look = styles[arm]
            axes.plot(place + across, values, look.marker, color=look.colour, ms=5, alpha=0.75, mew=0)
            axes.plot([place - 0.3, place + 0.3], [np.mean(values)] * 2, color=look.colour, lw=2.2)
        fit(axes, [value for pairs in found.values() for _, value in pairs])
        axes.set_xticks(range(len(found)), [drawable(arm, 14) for arm in found])
        axes.set_xlim(-0.6, len(found) - 0.4)
        axes.set_ylabel(drawable(metric))
        axes.grid(visible=False, axis="x")

    told = "; ".join(
        f"{arm} mean {np.mean([v for _, v in pairs]):.4g}, SD {figure(sd_interval([v for _, v in pairs])[0], 3)}"
        for arm, pairs in found.items()
    )
    seeds = counted(max(len(pairs) for pairs in found.values()), "seed")
    return plot(
        file_name("variance"), f"{metric} of every seed; bars are means", f"{metric} by arm, {seeds}: {told}.", draw
    )

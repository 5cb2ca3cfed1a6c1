"""Instability during training by arm, and the spread of the final metric over seeds."""

import math
from typing import Any

import numpy as np

from trimtab.boundary import counted
from trimtab.reports.blocks import Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import drawable, file_name, fit, looks, plot
from trimtab.reports.experiment.effects import spread
from trimtab.reports.experiment.records import ExperimentRecords

_PREFIX = "stability."


def instability(records: ExperimentRecords) -> Section:
    """Unstable, flagged and skipped steps, rewinds and divergences: a table row per arm."""
    key, title = "instability", "Instability"
    metrics = [metric for metric in records.progress.metrics if metric.name.startswith(_PREFIX)]
    rows = []
    for arm in records.arms:
        ended = [episode for episode in records.of(arm) if episode.finished]
        if not ended:
            continue
        diverged = sum(episode.status == "diverged" for episode in ended)
        cells = [_counts([e.figures[metric.name] for e in ended if metric.name in e.figures]) for metric in metrics]
        rows.append((arm, str(len(ended)), *cells, f"{diverged} of {len(ended)}"))
    if not rows:
        return Section(key, title, (Text("No run has ended yet.", "missing"),))
    columns = ("arm", "runs", *(metric.title for metric in metrics), "diverged runs")
    about = (
        "Mean per run ± standard deviation over runs, with the smallest and largest value in brackets. A step is unstable when "
        "the monitor's regime is 'unstable', and flagged when its loss or gradient norm is an outlier. The steps that a fork "
        "shares with its parent are included."
    )
    return Section(key, title, (Text(about), Table("Instability by arm", columns, tuple(rows))))


def _counts(values: list[float]) -> str:
    if not values:
        return figure(None)
    low, high = min(values), max(values)
    return f"{spread(values)} [{low:g}, {high:g}]" if low < high else f"{low:g}"


def final_values(records: ExperimentRecords) -> dict[str, list[tuple[int, float]]]:
    """The claimed metric by arm and seed: from the verdicts, or without them from the runs that have ended.

    From runs it is the mean over the factors' cells, for seeds whose cells have all ended; a derived metric needs verdicts.
    """
    spec, claimed = records.spec, records.metric(records.spec.claim.metric)
    values: dict[str, dict[int, float]] = {}
    for verdict in records.claims.values():
        values.setdefault(spec.baseline_arm, {}).update(zip(verdict.seeds, verdict.baseline_values, strict=True))
        values.setdefault(verdict.treatment, {}).update(zip(verdict.seeds, verdict.treatment_values, strict=True))
    if not values and records.source == spec.claim.metric:
        for arm in records.arms:
            for seed in spec.seed_list:
                own = [e.value(claimed) for e in records.of(arm) if e.seed == seed and e.finished]
                if len(own) == len(records.cells) and all(map(math.isfinite, own)):
                    values.setdefault(arm, {})[seed] = float(np.mean(own))
    return {arm: sorted(values[arm].items()) for arm in records.arms if values.get(arm)}


def sd_interval(values: list[float], level: float = 0.95) -> tuple[float, float, float]:
    """The standard deviation (n − 1) and its χ² interval, which assumes normal values; NaN for fewer than two values."""
    from scipy.special import gammaincinv

    n = len(values)
    if n < 2:
        return math.nan, math.nan, math.nan
    sd, half = float(np.std(values, ddof=1)), (n - 1) / 2
    low, high = (2 * float(gammaincinv(half, p)) for p in (0.5 - level / 2, 0.5 + level / 2))
    return sd, sd * math.sqrt((n - 1) / high), sd * math.sqrt((n - 1) / low)


def variance(records: ExperimentRecords) -> Section:
    """The final metric of every seed, by arm, and its standard deviation."""
    key, title, metric = "variance", "Spread over seeds", records.spec.claim.metric
    by_arm = final_values(records)
    if not by_arm:
        return Section(key, title, (Text(f"No run has ended with a {metric} yet.", "missing"),))
    rows = []
    for arm, pairs in by_arm.items():
        values = [value for _, value in pairs]
        sd, low, high = sd_interval(values)
        known = figure(None) if math.isnan(sd) else f"{low:.3g} to {high:.3g}"
        extremes = f"{min(values):.4g} to {max(values):.4g}"
        rows.append((arm, str(len(values)), figure(float(np.mean(values)), 5), figure(sd, 3), known, extremes))
    about = (
        f"{metric} at the end of every seed. The 95% interval of the standard deviation assumes normal values. Whether the "
        "intervals of two arms overlap says little, because the arms share their seeds."
    )
    if records.spec.episodes == "training":
        about += " A diverged run counts as the untrained model where its own value is not better."
    columns = ("arm", "seeds", "mean", "SD", "95% interval of the SD", "range")
    table = Table(f"{metric} by arm", columns, tuple(rows))
    return Section(key, title, (Text(about), Plots((_strip(records, by_arm),)), table))


def _strip(records: ExperimentRecords, by_arm: dict[str, list[tuple[int, float]]]) -> Plot:
    metric = records.spec.claim.metric

    def draw(figure: Any, axes: Any) -> None:
        styles = looks(records.arms)
        for place, (arm, pairs) in enumerate(by_arm.items()):
            values = [value for _, value in pairs]
            across = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
            look = styles[arm]
            axes.plot(place + across, values, look.marker, color=look.colour, ms=5, alpha=0.75, mew=0)
            axes.plot([place - 0.3, place + 0.3], [np.mean(values)] * 2, color=look.colour, lw=2.2)
        fit(axes, [value for pairs in by_arm.values() for _, value in pairs])
        axes.set_xticks(range(len(by_arm)), [drawable(arm, 14) for arm in by_arm])
        axes.set_xlim(-0.6, len(by_arm) - 0.4)
        axes.set_ylabel(drawable(metric))
        axes.grid(visible=False, axis="x")

    summary = "; ".join(
        f"{arm} mean {np.mean([v for _, v in pairs]):.4g}, SD {figure(sd_interval([v for _, v in pairs])[0], 3)}"
        for arm, pairs in by_arm.items()
    )
    seeds = counted(max(len(pairs) for pairs in by_arm.values()), "seed")
    return plot(
        file_name("variance"), f"{metric} of every seed; bars are means", f"{metric} by arm, {seeds}: {summary}.", draw
    )

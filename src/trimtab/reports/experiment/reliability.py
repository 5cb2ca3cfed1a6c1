"""Whether the arms' confidences can be trusted: reliability diagrams, risk over coverage, and the figures with their floors."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.reports.blocks import DASH, Block, Plot, Plots, Section, Table, Text, counted, figure
from trimtab.reports.drawing import drawable, file_name, fit, legend, looks, plot
from trimtab.reports.experiment.predictions import Prediction, columns, options_table, read_predictions
from trimtab.reports.experiment.records import Records
from trimtab.reports.reliability import HEIGHTS, draw_reliability, draw_risk, largest_gap

if TYPE_CHECKING:
    from trimtab.evaluation.calibration import Figure

KEY, TITLE = "calibration", "Calibration"

FIGURES = {
    "accuracy": "accuracy",
    "overconfidence": "confidence − accuracy",
    "ece": "ECE",
    "debiased": "debiased error",
    "smooth_ece": "smooth ECE",
    "brier": "Brier score",
    "nll": "NLL of being right (nats)",
    "aurc": "AURC",
    "excess_aurc": "excess AURC",
}
"""The report's figures and their names in the table."""


@dataclass(frozen=True)
class Pooled:
    """The predictions of an arm's episodes, each with its seed; an arm that never acted in a seed has its baseline's there."""

    arm: str
    episodes: int
    rows: tuple[tuple[int, Prediction], ...]

    @cached_property
    def predictions(self) -> list[Prediction]:
        """The predictions alone."""
        return [one for _, one in self.rows]

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len({seed for seed, _ in self.rows})

    def settings(self, rows: tuple[tuple[int, Prediction], ...] | None = None) -> dict[str, Any]:
        """Clusters by seed and by item, and a seed that makes the report the same every time."""
        used = self.rows if rows is None else rows
        return {"groups": np.array([(seed, one.item) for seed, one in used]), "seed": 0}


def reliability(records: Records) -> Section | None:
    """The section; None where no episode has left predictions."""
    found = [pooled for arm in records.design.order if (pooled := _pooled(records, arm)) is not None]
    if not found:
        return None
    blocks: list[Block] = [Text(_about(found)), Plots(tuple(_diagram(records, pooled) for pooled in found))]
    blocks += [Plots((_risk(records, found),)), _table(found), Text(_reading())]
    absent = [arm for arm in records.design.order if arm not in {pooled.arm for pooled in found}]
    if absent:
        blocks.append(Text(f"No episode of {', '.join(absent)} has left predictions.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _pooled(records: Records, arm: str) -> Pooled | None:
    rows: list[tuple[int, Prediction]] = []
    episodes = 0
    for episode in records.of(arm):
        predictions = read_predictions(episode)
        if predictions:
            rows += [(episode.seed, one) for one in predictions]
            episodes += 1
    return Pooled(arm, episodes, tuple(rows)) if rows else None


def _about(found: list[Pooled]) -> str:
    each = "; ".join(
        f"{one.arm}: {counted(len(one.rows), 'answer')} of {counted(one.episodes, 'episode')}, {counted(one.seeds, 'seed')}"
        for one in found
    )
    alone = " With one seed the intervals say nothing of other seeds." if any(one.seeds == 1 for one in found) else ""
    return (
        f"Answers to the validation items at the end of each episode, pooled over seeds ({each}). Below the diagonal an arm is "
        "surer than it is right. The shaded band is where 95 of 100 perfect predictors with these confidences would lie: a mark "
        "in it shows no error. Intervals come from resampling seeds and items; few seeds make them wide."
        f"{alone}"
    )


def _reading() -> str:
    return (
        "A perfect predictor's score is what chance alone makes of confidences that are all true, at this number of answers; "
        "its 95% mark is passed by one such predictor in twenty. These figures are estimates, not verdicts: a difference "
        "between arms is judged only where it was claimed before the run. ECE and Brier score count 15 bins of equal width, the "
        "debiased error (a root mean square) 15 of equal counts. AURC is the mean error rate over all shares of answers kept, "
        "the surest first; excess AURC is what a perfect order of the same answers would save of it."
    )


def _diagram(records: Records, pooled: Pooled) -> Plot:
    from trimtab.evaluation.calibration import reliability_diagram

    look = looks(records.design.order)[pooled.arm]
    confidence, correct = columns(pooled.predictions, "confidence"), columns(pooled.predictions, "correct")
    diagram = reliability_diagram(confidence, correct, **pooled.settings())

    def draw(figure: Any, axes: Any) -> None:
        handles, labels = draw_reliability(axes, diagram, look.colour, look.marker)
        legend(figure, handles, labels)

    gap, ends = largest_gap(diagram)
    side = "below" if gap < 0 else "above"
    return plot(
        file_name("reliability", records.design.order.index(pooled.arm) + 1, pooled.arm),
        f"{pooled.arm}: accuracy over confidence",
        f"Reliability diagram of {pooled.arm}, {counted(len(pooled.rows), 'answer')}: accuracy {correct.mean():.3g}, mean "
        f"confidence {confidence.mean():.3g}; the most is lost between {ends[0]:.2g} and {ends[1]:.2g}, where accuracy is "
        f"{abs(gap):.2g} {side} confidence.",
        draw,
        height=sum(HEIGHTS) + 0.5,
        nrows=2,
        sharex=True,
        gridspec_kw={"height_ratios": HEIGHTS},
    )


def _risk(records: Records, found: list[Pooled]) -> Plot:
    from trimtab.evaluation.calibration import risk_coverage

    curves = {
        one.arm: risk_coverage(
            columns(one.predictions, "confidence"), columns(one.predictions, "correct"), null=0, **one.settings()
        )
        for one in found
    }

    def draw(figure: Any, axes: Any) -> None:
        styles = looks(records.design.order)
        lines = [
            draw_risk(axes, curve, styles[arm].colour, styles[arm].marker, styles[arm].dash)
            for arm, curve in curves.items()
        ]
        fit(axes, [float(value) for curve in curves.values() for value in (*curve.low, *curve.high, *curve.risk)])
        axes.set_xlabel("share of answers kept, surest first")
        axes.set_ylabel("error rate of those kept")
        axes.set_xlim(0, 1.02)
        legend(figure, lines, [drawable(arm, 20) for arm in curves])

    told = "; ".join(
        f"{arm} {curve.risk[9]:.3g} of the surest half, {curve.risk[-1]:.3g} of all" for arm, curve in curves.items()
    )
    return plot(
        file_name("risk-coverage"),
        "Errors when the least sure answers are withheld",
        f"Error rate against coverage: {told}.",
        draw,
    )


def _table(found: list[Pooled]) -> Table:
    made = {pooled.arm: _figures(pooled) for pooled in found}
    names = dict.fromkeys(name for figures in made.values() for name in figures)
    rows = [(name, arm, *_cells(figures[name])) for name in names for arm, figures in made.items() if name in figures]
    heads = ("figure", "arm", "value", "95% interval", "perfect predictor", "its 95% mark")
    return Table("Calibration by arm", heads, tuple(rows), words=frozenset({0, 1}))


def _figures(pooled: Pooled) -> dict[str, "Figure"]:
    """The figures by their names in the table; those of agreement and of the exact distribution where they are known."""
    from trimtab.evaluation.calibration import calibration_report, distribution_report

    correct = columns(pooled.predictions, "correct")
    report = calibration_report(columns(pooled.predictions, "confidence"), correct, **pooled.settings())
    made = {words: getattr(report, name) for name, words in FIGURES.items()}
    if all(one.agreement is not None for one in pooled.predictions):
        agreed = calibration_report(columns(pooled.predictions, "agreement"), correct, **pooled.settings())
        made |= {"ECE of agreement": agreed.ece, "AURC of agreement": agreed.aurc}
    known = tuple((seed, one) for seed, one in pooled.rows if one.knows_truth)
    if known:
        own, truth = (
            options_table([getattr(one, name) for _, one in known])
            for name in ("option_probabilities", "true_probabilities")
        )
        exact = distribution_report(own, truth, **pooled.settings(known))
        made |= {
            "KL to the truth (nats)": exact.kl,
            "total variation": exact.total_variation,
            "ECE to the truth": exact.ece_to_truth,
            "confidence − truth": exact.confidence_bias,
        }
    return made


def _cells(found: "Figure") -> tuple[str, str, str, str]:
    between = DASH if found.low is None or found.high is None else f"{_number(found.low)} to {_number(found.high)}"
    return _number(found.value), between, _number(found.null_floor), _number(found.null_high)


def _number(value: float | None) -> str:
    return figure(0.0 if value is not None and abs(value) < 1e-9 else value, 3)  # sums of rounding errors are no figure

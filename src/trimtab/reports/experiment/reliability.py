"""Calibration by arm: reliability diagrams, risk-coverage curves, and scores compared with those of a perfect predictor."""

from typing import TYPE_CHECKING, Any

from trimtab.boundary import counted
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text
from trimtab.reports.drawing import drawable, file_name, fit, legend, looks, plot
from trimtab.reports.experiment.pooled import HEADS, Pooled, cells, pool
from trimtab.reports.experiment.predictions import columns, options_table
from trimtab.reports.experiment.records import ExperimentRecords
from trimtab.reports.experiment.tempering import tempered
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
"""The fields of a calibration report that the table shows, and their names there."""


def reliability(records: ExperimentRecords) -> Section | None:
    """The section on calibration; None where no episode has predictions."""
    every = [one for arm in records.arms if (one := pool(records, arm)) is not None]
    if not every:
        return None
    pooled = [one for one in every if one.rows]
    blocks: list[Block] = []
    if pooled:
        blocks += [Text(_about(pooled)), Plots(tuple(_diagram(records, one) for one in pooled))]
        blocks += [Plots((_risk(records, pooled),)), _table(pooled), Text(_reading()), *tempered(pooled)]
    if left_out := [one.left_out for one in every if one.left_out]:
        blocks.append(
            Text(
                "Answers with non-finite probabilities, such as those of a diverged model, are left out, so the remaining "
                f"answers flatter their arm: {'; '.join(left_out)}.",
                "missing",
            )
        )
    absent = [arm for arm in records.arms if arm not in {one.arm for one in every}]
    if absent:
        blocks.append(Text(f"No episode of {', '.join(absent)} has predictions.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _about(arms: list[Pooled]) -> str:
    each = "; ".join(
        f"{one.arm}: {counted(len(one.rows), 'answer')} of {counted(one.episodes, 'episode')}, {counted(one.seeds, 'seed')}"
        for one in arms
    )
    drawn = (
        " Where the exact distribution of the answers is known, there is no single right answer: an outcome was drawn from the "
        "distribution, the same for every arm, and an answer that names it counts as right."
        if any(one.hit is not None for pooled in arms for one in pooled.predictions)
        else ""
    )
    alone = (
        " With one seed the intervals do not cover the variation between seeds."
        if any(one.seeds == 1 for one in arms)
        else ""
    )
    return (
        f"Answers to the validation items at the end of each episode, pooled over seeds ({each}). Below the diagonal an arm is "
        "overconfident. The shaded band holds 95% of perfectly calibrated predictors with the same confidences, so a mark inside "
        "it is not a sign of miscalibration. Intervals come from resampling seeds and items; with few seeds they are wide."
        f"{drawn}{alone}"
    )


def _reading() -> str:
    return (
        "'Perfect predictor' is the mean score of perfectly calibrated predictors with this number of answers; one in twenty of "
        "them scores beyond 'its 95% mark'. These scores are estimates, not verdicts: a difference between arms is judged only "
        "where it was claimed before the run. ECE and Brier score use 15 bins of equal width, the debiased error (a root mean "
        "square) 15 bins of equal counts. AURC is the mean error rate over all shares of answers kept, the most confident "
        "first; excess AURC is the part of it that a perfect ordering of the same answers would avoid."
    )


def _diagram(records: ExperimentRecords, pooled: Pooled) -> Plot:
    from trimtab.evaluation.calibration import reliability_diagram

    look = looks(records.arms)[pooled.arm]
    confidence, correct = columns(pooled.predictions, "confidence"), columns(pooled.predictions, "right")
    diagram = reliability_diagram(confidence, correct, **pooled.settings())

    def draw(figure: Any, axes: Any) -> None:
        handles, labels = draw_reliability(axes, diagram, look.colour, look.marker)
        legend(figure, handles, labels)

    gap, ends = largest_gap(diagram)
    side = "below" if gap < 0 else "above"
    return plot(
        file_name("reliability", records.arms.index(pooled.arm) + 1, pooled.arm),
        f"{pooled.arm}: accuracy over confidence",
        f"Reliability diagram of {pooled.arm}, {counted(len(pooled.rows), 'answer')}: accuracy {correct.mean():.3g}, mean "
        f"confidence {confidence.mean():.3g}; the largest gap is between {ends[0]:.2g} and {ends[1]:.2g}, where accuracy is "
        f"{abs(gap):.2g} {side} confidence.",
        draw,
        height=sum(HEIGHTS) + 0.5,
        nrows=2,
        sharex=True,
        gridspec_kw={"height_ratios": HEIGHTS},
    )


def _risk(records: ExperimentRecords, arms: list[Pooled]) -> Plot:
    from trimtab.evaluation.calibration import risk_coverage

    curves = {
        one.arm: risk_coverage(
            columns(one.predictions, "confidence"), columns(one.predictions, "right"), null=0, **one.settings()
        )
        for one in arms
    }

    def draw(figure: Any, axes: Any) -> None:
        styles = looks(records.arms)
        lines = [
            draw_risk(axes, curve, styles[arm].colour, styles[arm].marker, styles[arm].dash)
            for arm, curve in curves.items()
        ]
        fit(axes, [float(value) for curve in curves.values() for value in (*curve.low, *curve.high, *curve.risk)])
        axes.set_xlabel("share of answers kept, most confident first")
        axes.set_ylabel("error rate of kept answers")
        axes.set_xlim(0, 1.02)
        legend(figure, lines, [drawable(arm, 20) for arm in curves])

    summary = "; ".join(
        f"{arm} {curve.risk[9]:.3g} of the most confident half, {curve.risk[-1]:.3g} of all"
        for arm, curve in curves.items()
    )
    return plot(
        file_name("risk-coverage"),
        "Error rate when the least confident answers are withheld",
        f"Error rate against coverage: {summary}.",
        draw,
    )


def _table(arms: list[Pooled]) -> Table:
    made = {pooled.arm: _figures(pooled) for pooled in arms}
    names = dict.fromkeys(name for figures in made.values() for name in figures)
    rows = [(name, arm, *cells(figures[name])) for name in names for arm, figures in made.items() if name in figures]
    return Table("Calibration by arm", HEADS, tuple(rows), words=frozenset({0, 1}))


def _figures(pooled: Pooled) -> dict[str, "Figure"]:
    """The scores by their names in the table, with those of agreement and of the exact distribution where these are known."""
    from trimtab.evaluation.calibration import calibration_report, distribution_report

    correct = columns(pooled.predictions, "right")
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

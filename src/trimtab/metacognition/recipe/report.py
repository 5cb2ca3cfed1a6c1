"""The report of a thinking run, from the records in its folder alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.boundary import shortened
from trimtab.config.yaml_file import dump_yaml
from trimtab.errors import RunError
from trimtab.metacognition.policies import Outcomes
from trimtab.metacognition.recipe.kind import THINKING
from trimtab.metacognition.recipe.report_training import gate, learning
from trimtab.metacognition.recipe.stages import COMPARED
from trimtab.records import Manifest, RunDirectory, Summary, read_rows
from trimtab.records.integrity import altered, altered_warning
from trimtab.records.thinking_rows import OutcomeRow
from trimtab.reports.blocks import Block, Code, Plots, Section, Table, Text, figure, signed
from trimtab.reports.drawing import plot
from trimtab.reports.page import Report, write_pages
from trimtab.reports.provenance import manifest_rows
from trimtab.reports.style import BLUE, INK, ORANGE, TEAL

_SHOWN = 12
"""Problems whose thoughts are shown."""

_NAMES = {
    "predicted": "predicted by the model",
    "shuffled": "the predicted ones, given to the problems at random",
    "prompt_length": "by the length of the prompt",
    "fixed": "the best fixed one",
    "oracle": "whole for the shortest thoughts (oracle)",
    "none": "no thought",
    "free": "no limit but the last cap",
}


@dataclass(frozen=True)
class Records:
    """The records in a run's folder."""

    folder: Path
    manifest: Manifest
    summary: Summary | None
    rows: list[dict[str, Any]]

    @property
    def outcomes(self) -> Outcomes:
        """The outcomes on the compared problems."""
        return Outcomes(self.rows, self.manifest.config["run"]["model"]["caps"])

    @property
    def metrics(self) -> Mapping[str, Any] | None:
        """The figures of a finished run."""
        return self.summary.metrics if self.summary is not None and self.summary.status == "completed" else None


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `plots/*.svg` into a thinking run's folder and return their paths.

    Raises `RunError` for a folder that holds no thinking run or a damaged one, `WorkError` when the disk refuses.
    """
    run = RunDirectory(folder)
    manifest = run.manifest()
    if manifest.kind != THINKING.name:
        raise RunError(f"{run.path} holds a run of the kind '{manifest.kind}', not a thinking run.")
    table = run.path / COMPARED
    rows = read_rows(table, OutcomeRow) if table.exists() else []
    return write_pages(compose(Records(run.path, manifest, run.summary(), rows)), run.path)


def compose(records: Records) -> Report:
    """Make the report."""
    made = (
        *(make(records) for make in (_result, _curve, _use, _confidence, _blocks)),
        learning(records.folder),
        gate(records.rows),
        _thoughts(records),
        _origin(records),
    )
    sections = tuple(section for section in made if section is not None)
    footer = "Made by Trimtab from the records in this folder: manifest.json, the tables of outcomes and summary.json."
    return Report("Thinking run", "Budgets for thoughts", sections, footer)


def _result(records: Records) -> Section:
    metrics, blocks = records.metrics, list[Block]()
    if changed := altered(records.folder, records.summary):
        blocks.append(Text(altered_warning("this folder", changed), "warning"))
    if metrics is None:
        status = "running or was killed" if records.summary is None else records.summary.status
        blocks.append(Text(f"The run has no result yet: it is {status}.", "missing"))
        return Section("result", "Result", tuple(blocks))
    predicted, oracle = metrics["predicted"], metrics["oracle"]
    better = "more" if predicted["gain"] > 0 else "less" if predicted["gain"] < 0 else "neither more nor less"
    blocks.append(
        Text(
            f"Predicted budgets answered {predicted['accuracy']:.1%} of {len(records.rows)} fresh problems for "
            f"{predicted['tokens']:.1f} thought tokens on average. The best mixture of fixed budgets answers "
            f"{predicted['hull']:.1%} for as many, so predicted budgets are right {better} often ({signed(predicted['gain'])}); "
            f"with knowledge of the lengths of all thoughts it would be {oracle['accuracy']:.1%}. This is one seed: what may be "
            "claimed needs several."
        )
    )
    rows = [
        (_NAMES[name], figure(one["accuracy"]), figure(one["tokens"]), figure(one["hull"]), signed(one["gain"]))
        for name, one in metrics.items()
        if name in _NAMES
    ]
    columns = ("budget", "accuracy", "tokens", "mixture of fixed ones", "gain")
    return Section("result", "Result", (*blocks, Table("Accuracy and mean thought tokens", columns, tuple(rows))))


def _curve(records: Records) -> Section | None:
    """Accuracy against tokens: fixed caps, their hull, predicted budgets at all prices, the oracle."""
    if not records.rows:
        return None
    outcomes = records.outcomes
    fixed = [outcomes.fixed(index) for index in range(len(outcomes.caps))]
    grid = np.linspace(0, max(point.tokens for point in fixed), 60)
    prices = np.concatenate(([0.0], np.geomspace(0.01, 100, 80)))
    predicted = sorted(
        {(point.tokens, point.accuracy) for point in (outcomes.under(outcomes.predicted(p)) for p in prices)}
    )

    def draw(_: Any, axes: Any) -> None:
        axes.plot(grid, [outcomes.oracle(tokens) for tokens in grid], color=TEAL, ls=":", label="oracle")
        axes.plot(*zip(*predicted, strict=True), color=BLUE, marker="o", ms=3, label="predicted, at every price")
        axes.plot(
            grid, [outcomes.hull(tokens) for tokens in grid], color=ORANGE, ls="--", label="mixtures of fixed ones"
        )
        axes.plot([p.tokens for p in fixed], [p.accuracy for p in fixed], "s", color=INK, ms=4, label="fixed")
        axes.set_xlabel("mean thought tokens")
        axes.set_ylabel("share of right answers")
        axes.legend(fontsize=8.5)

    words = "; ".join(
        f"{cap}: {point.accuracy:.3f} for {point.tokens:.1f}"
        for cap, point in zip(outcomes.caps.tolist(), fixed, strict=True)
    )
    drawn = plot("curve", "What a thought token buys", f"Accuracy and tokens of fixed caps: {words}.", draw, height=3.4)
    return Section("curve", "Accuracy against tokens", (Plots((drawn,)),))


def _use(records: Records) -> Section | None:
    """The predicted use of free thoughts against their real length."""
    if not records.rows:
        return None
    outcomes = records.outcomes
    predicted, used = outcomes.use[:, -1], outcomes.used[:, -1].astype(float)
    known = len(set(predicted.tolist())) > 1 and len(set(used.tolist())) > 1
    r = float(np.corrcoef(predicted, used)[0, 1]) if known else float("nan")

    def draw(_: Any, axes: Any) -> None:
        axes.plot(predicted, used, "o", color=BLUE, ms=3, alpha=0.25, ls="none")
        most = float(outcomes.caps[-1])
        axes.plot([0, most], [0, most], color=INK, ls="--", lw=1)
        axes.set_xlabel("predicted use")
        axes.set_ylabel("tokens of the free thought")

    drawn = plot(
        "use",
        "Predicted use against the free thought's tokens",
        f"Correlation {figure(r)} over {len(used)} problems.",
        draw,
    )
    by_plan = [
        (f"plan {plan}", *_plan_row(records.rows, plan))
        for plan in sorted({row["plan"] for row in records.rows if row["plan"] is not None})
    ]
    columns = ("problems with", "number", "plan predicted", "mean tokens", "mean predicted use", "right when free")
    return Section("use", "Lengths and plans", (Plots((drawn,)), Table("By plan", columns, tuple(by_plan))))


def _plan_row(rows: list[dict[str, Any]], plan: int) -> tuple[str, ...]:
    own = [row for row in rows if row["plan"] == plan]
    means = (
        np.mean([row["predicted_plan"] == plan for row in own]),
        np.mean([row["used"] for row in own]),
        np.mean([row["use_by_cap"][-1] for row in own]),
        np.mean([row["right"][-1] for row in own]),
    )
    return (str(len(own)), *(figure(float(mean), 3) for mean in means))


def _confidence(records: Records) -> Section | None:
    """Confidence under every cap against the share of right answers, with the error that a calibrated model would show."""
    if not records.rows:
        return None
    outcomes = records.outcomes
    sure, right = outcomes.confidence, outcomes.right
    errors = [outcomes.calibration_error(index) for index in range(len(outcomes.caps))]
    calibrated = {} if records.metrics is None else records.metrics.get("calibrated", {})

    def draw(_: Any, axes: Any) -> None:
        axes.plot(outcomes.caps, sure.mean(0), color=BLUE, marker="o", ms=4, label="mean confidence")
        axes.plot(outcomes.caps, right.mean(0), color=ORANGE, marker="s", ms=4, ls="--", label="right answers")
        axes.set_xlabel("cap")
        axes.set_ylim(-0.02, 1.02)
        axes.legend(fontsize=8.5)

    worst = max(error for error, _ in errors)
    drawn = plot(
        "confidence",
        "Confidence and right answers under every cap",
        f"The largest calibration error is {figure(worst, 3)}.",
        draw,
    )
    rows = [
        (
            str(cap),
            figure(float(sure[:, n].mean()), 3),
            figure(float(right[:, n].mean()), 3),
            figure(error, 3),
            figure(calibrated.get(f"cap_{cap}"), 3),
            figure(floor, 3),
        )
        for n, (cap, (error, floor)) in enumerate(zip(outcomes.caps.tolist(), errors, strict=True))
    ]
    columns = ("cap", "mean confidence", "right", "calibration error", "after calibration", "of a perfect one")
    text = (
        "The error is over 10 bins of equally many problems. After calibration it is that of the confidence that `trimtab think` "
        "reports, by a fit to the problems of the price. A perfectly calibrated model shows an error too on so few: the last "
        "column is its mean over simulated answers."
    )
    return Section(
        "confidence", "Confidence", (Text(text), Plots((drawn,)), Table("Calibration", columns, tuple(rows)))
    )


def _blocks(records: Records) -> Section | None:
    """The share of each block in the decision."""
    if not records.rows:
        return None
    alpha = np.array([row["alpha"] for row in records.rows], dtype=np.float64)
    entropy = -(alpha * np.log(np.clip(alpha, 1e-12, None))).sum(1)
    rows = [
        (f"{block + 1}", *(figure(float(value), 3) for value in (own.mean(), own.std(), own.min(), own.max())))
        for block, own in enumerate(alpha.T)
    ]
    text = (
        f"The entropy of the shares is {entropy.mean():.3f} on average; equal shares have {np.log(alpha.shape[1]):.3f}."
    )
    return Section(
        "blocks",
        "Blocks",
        (Text(text), Table("Share α in the decision", ("block", "mean", "SD", "lowest", "highest"), tuple(rows))),
    )


def _thoughts(records: Records) -> Section | None:
    """Some of the problems with their thoughts."""
    if not records.rows:
        return None
    step = max(1, len(records.rows) // _SHOWN)
    rows = [
        (
            shortened(row["thought"] or "(none)", 60),
            str(row["used"]),
            "yes" if row["ended"] else "no",
            figure(row["use_by_cap"][-1], 3),
            figure(row["confidence_by_cap"][-1], 3),
            "yes" if row["right"][-1] else "no",
        )
        for row in records.rows[::step][:_SHOWN]
    ]
    columns = ("free thought", "tokens", "ended by itself", "predicted use", "confidence", "right")
    return Section(
        "thoughts",
        "Thoughts",
        (Table("Some of the compared problems", columns, tuple(rows), words=frozenset({0, 2, 5}), folded=True),),
    )


def _origin(records: Records) -> Section:
    status = "running" if records.summary is None else records.summary.status
    table = Table("Origin", ("key", "value"), manifest_rows(records.manifest, status), words=frozenset({0, 1}))
    return Section("origin", "Origin", (table, Code(dump_yaml(records.manifest.config), "yaml")))

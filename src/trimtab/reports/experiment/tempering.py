"""Temperature scaling of each arm's confidences: fitted on half of the items, evaluated on the other half."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from trimtab.boundary import counted
from trimtab.reports.blocks import Block, Table, Text
from trimtab.reports.experiment.pooled import HEADS, Pooled, cells
from trimtab.reports.experiment.predictions import columns, options_table

if TYPE_CHECKING:
    from trimtab.evaluation.calibration import Figure

FEWEST = 20
"""With fewer items no temperature is fitted."""

_LEAST = 1e-300


def tempered(arms: list[Pooled]) -> list[Block]:
    """A table of NLL and ECE before and after scaling, by arm; empty where every arm has too few items."""
    made = {one.arm: _figures(one) for one in arms if len({answer.item for answer in one.predictions}) >= FEWEST}
    if not made:
        return []
    names = dict.fromkeys(name for _, figures in made.values() for name in figures)
    rows = [
        (name, arm, *cells(figures[name])) for name in names for arm, (_, figures) in made.items() if name in figures
    ]
    summary = "; ".join(f"{arm}: {words}" for arm, (words, _) in made.items())
    about = (
        "One temperature per arm (Guo et al. 2017), fitted on half of the items by minimum NLL. The values before "
        "and after scaling are measured on the other half, so those before scaling differ a little from the table above. A "
        f"temperature above 1 means that the arm was overconfident. {summary}."
    )
    return [Table("After temperature scaling", HEADS, tuple(rows), words=frozenset({0, 1})), Text(about)]


def _figures(pooled: Pooled) -> tuple[str, dict[str, "Figure"]]:
    """What was scaled, in words, and the scores by name."""
    from scipy.special import softmax

    from trimtab.evaluation.calibration import (
        Figure,
        calibration_report,
        fit_temperature,
        fitted_items,
        multiclass_report,
    )

    logits, labels = _logits(pooled)
    items = np.array([one.item for one in pooled.predictions])  # groups by question: none is in both halves
    fit = fit_temperature(logits, labels, groups=items, seed=0)
    judged = ~fitted_items(len(items), groups=items, seed=0)
    settings = pooled.settings(tuple(row for row, kept in zip(pooled.rows, judged, strict=True) if kept))
    made = {"temperature": Figure(fit.temperature)}
    by_options = _by_options(pooled)
    for when, temperature in (("before", 1.0), ("after", fit.temperature)):
        p, right = softmax(logits[judged] / temperature, axis=1), labels[judged]
        if by_options:
            report = multiclass_report(p, right, **settings)
            made |= {f"NLL {when} (nats)": report.nll, f"ECE {when}": report.top.ece}
            if len({tuple(map(str, one.options or ())) for one in pooled.predictions}) == 1:
                made[f"classwise ECE {when}"] = report.classwise_ece
        else:
            binary = calibration_report(p[:, 1], right, **settings)
            made |= {f"NLL {when} (nats)": binary.nll, f"ECE {when}": binary.ece}
    what = "the distribution over the options" if by_options else "the probability of being right"
    ends = ", with the best temperature at the end of the search range" if fit.at_bound else ""
    return f"{what}, {counted(fit.fitted_on, 'answer')} to fit, {counted(fit.judged_on, 'answer')} to judge{ends}", made


def _by_options(pooled: Pooled) -> bool:
    return all(one.option_probabilities is not None and one.label is not None for one in pooled.predictions)


def _logits(pooled: Pooled) -> tuple[Float[np.ndarray, "n classes"], Int[np.ndarray, " n"]]:
    """Log probabilities and labels: of the options where every answer has some, otherwise of being wrong or right."""
    if _by_options(pooled):
        own = [one.option_probabilities or [] for one in pooled.predictions]
        widths = np.array([len(row) for row in own])
        table = np.log(np.maximum(options_table(own), _LEAST))
        table[np.arange(table.shape[1]) >= widths[:, None]] = -np.inf
        return table, np.array([one.label for one in pooled.predictions])
    confidence = columns(pooled.predictions, "confidence")
    table = np.log(np.maximum(np.stack([1 - confidence, confidence], axis=1), _LEAST))
    return table, columns(pooled.predictions, "right").astype(np.int64)

"""How fast pairs converge: steps, seconds and restarts."""

from collections import Counter
from typing import Any

import numpy as np

from trimtab.reports.blocks import DASH, Block, Plot, Plots, Section, Table, Text, figure
from trimtab.reports.drawing import Look, file_name, legend, log_axis, looks, plot
from trimtab.reports.memory.records import STAGES, MemoryRecords, Stage
from trimtab.reports.memory.shapes import shapes
from trimtab.reports.memory.words import absent, quantile, share_of, wilson

KEY, TITLE = "convergence", "Convergence"


def convergence(records: MemoryRecords) -> Section:
    """Shares solved over steps and seconds, restarts needed, and the loss curves by their shape."""
    if not records.stages:
        return absent(KEY, TITLE, "No candidate of any stage has ended.")
    about = (
        "The steps and seconds of a pair include all restarts up to the one that solved it; seconds are the candidates' share of "
        "the engine's time. A line that ends below 100% leaves unsolved pairs."
    )
    stages = list(records.stages.values())
    blocks: list[Block] = [Text(about)]
    if any(stage.solved for stage in stages):
        blocks.append(Plots((_over(records, "steps"), _over(records, "seconds"))))
    else:
        blocks.append(Text("No pair was solved, so there is no curve over steps.", "missing"))
    blocks += [_speeds(stages), _restarts(stages)]
    return Section(KEY, TITLE, (*blocks, *shapes(records)))


def spent(stage: Stage, what: str) -> list[float]:
    """Steps or seconds to each solved pair, ascending."""
    solved = [pair for pair in stage.pairs.values() if pair.solved]
    return sorted(float(sum(getattr(one, what) for one in pair.spent)) for pair in solved)


def stage_looks() -> dict[str, Look]:
    """The line style of each stage; the joint stage has the colour of the text."""
    return looks(["joint", *(name for name in STAGES if name != "joint")])


def _over(records: MemoryRecords, what: str) -> Plot:
    by_stage = {name: (spent(stage, what), stage.trials) for name, stage in records.stages.items()}
    drawn = {name: (values, trials) for name, (values, trials) in by_stage.items() if values}
    highest = max(values[-1] for values, _ in drawn.values())

    def draw(figure: Any, axes: Any) -> None:
        handles = []
        for name, (values, trials) in drawn.items():
            look = stage_looks()[name]
            shares = 100 * np.arange(len(values) + 1) / trials
            # the line continues at this height to the right edge
            handles += axes.step(
                [values[0], *values, 1.08 * highest],
                [0.0, *shares[1:], shares[-1]],
                where="post",
                color=look.colour,
                ls=look.dash,
                lw=1.9,
            )
        if min(values[0] for values, _ in drawn.values()) > 0:
            log_axis(axes.xaxis, [value for values, _ in drawn.values() for value in values])
        axes.set_ylim(0, 104)
        axes.set_xlabel(f"{what}, all restarts")
        axes.set_ylabel("pairs solved (%)")
        legend(figure, handles, [STAGES[name] for name in drawn])

    summary = "; ".join(f"{STAGES[name]} {share_of(len(values), trials)}, median {figure(quantile(values, 0.5), 3)}"
                     for name, (values, trials) in drawn.items())  # fmt: skip
    return plot(
        file_name("solved", what), f"Pairs solved over {what}", f"Share of pairs solved over {what}: {summary}.", draw
    )


def _speeds(stages: list[Stage]) -> Table:
    rows = []
    for stage in stages:
        trials = stage.trials
        cells = (_quantiles(spent(stage, what)) for what in ("steps", "seconds"))
        rows.append((STAGES[stage.name], share_of(stage.solved, trials), wilson(stage.solved, trials), *cells))
    columns = ("stage", "pairs solved", "95% interval", "steps: 10%, 50%, 90%", "seconds: 10%, 50%, 90%")
    return Table("Steps and seconds to solve a pair (quantiles over solved pairs)", columns, tuple(rows))


def _quantiles(values: list[float]) -> str:
    return ", ".join(figure(quantile(values, level), 3) for level in (0.1, 0.5, 0.9)) if values else DASH


def _restarts(stages: list[Stage]) -> Table:
    most = max(one.restart for stage in stages for one in stage.candidates)
    rows = []
    for stage in stages:
        needed = Counter(pair.best.restart for pair in stage.pairs.values() if pair.solved)
        rest = stage.trials - stage.solved
        rows.append((STAGES[stage.name], *(str(needed[number]) for number in range(most + 1)), str(rest)))
    columns = ("stage", *(f"restart {number + 1}" for number in range(most + 1)), "unsolved")
    return Table("Restart that solved the pair", columns, tuple(rows))

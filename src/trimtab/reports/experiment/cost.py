"""What each arm cost, and the comparison at equal cost."""

from trimtab.reports.blocks import Block, Section, Table, Text, figure, interval, signed
from trimtab.reports.experiment.budgets import compared
from trimtab.reports.experiment.records import ExperimentRecords

KEY, TITLE = "cost", "Cost and comparison at equal cost"


def cost(records: ExperimentRecords) -> Section:
    """Steps, tokens and seconds by arm; differences at equal steps, tokens and seconds."""
    about = (
        "Steps, tokens and seconds that were actually run; a rewound step counts every time it ran. 'Steps saved' are the steps "
        "that a lazy fork shares with its baseline. Seconds are wall-clock time, which other work on the machine lengthens."
    )
    rows = tuple(_row(records, arm) for arm in records.arms)
    columns = (
        "arm",
        "episodes run",
        "same as the baseline",
        "steps run",
        "steps saved",
        "tokens",
        "seconds",
        "tuning steps",
    )
    blocks: list[Block] = [Text(about), Table("Cost by arm", columns, rows)]
    if records.tuning is None:
        blocks.append(Text("No settings were tuned before the experiment.", "missing"))
    else:
        blocks += _tuning(records)
    return Section(KEY, TITLE, (*blocks, *_equal(records)))


def _row(records: ExperimentRecords, arm: str) -> tuple[str, ...]:
    own = [e for e in records.of(arm) if not e.same and e.trace is not None]
    traces = [e.trace for e in own if e.trace is not None]
    states = records.progress.episodes
    saved = sum(states[e.name].saved_steps for e in records.of(arm) if e.name in states)
    searched = records.tuning.arms.get(arm) if records.tuning is not None else None
    return (
        arm,
        str(len(own)),
        str(sum(e.same for e in records.of(arm))),
        f"{sum(trace.own_steps for trace in traces):,}",
        f"{saved:,}",
        f"{sum(trace.own_tokens for trace in traces):,.0f}",
        f"{sum(trace.own_seconds for trace in traces):,.0f}",
        figure(None) if searched is None else f"{searched.steps:,}",
    )


def _tuning(records: ExperimentRecords) -> list[Block]:
    assert records.tuning is not None
    rows = [
        (
            arm,
            _pairs(run.overrides),
            str(run.seed),
            run.status,
            figure(run.value, 5),
            "chosen" if run.overrides == tuned.chosen else "",
        )
        for arm, tuned in records.tuning.arms.items()
        for run in tuned.runs
    ]
    choices = [
        f"{arm}: {_pairs(tuned.chosen)}, by {tuned.metric} over {len(tuned.runs)} runs and {tuned.steps:,} steps."
        for arm, tuned in records.tuning.arms.items()
    ]
    columns = ("arm", "settings", "seed", "status", "value", "")
    table = Table("Tuning runs", columns, tuple(rows), words=frozenset({0, 1, 3, 5}), folded=True)
    return [Text("Settings tuned before the experiment, within the compute of one arm: " + " ".join(choices)), table]


def _pairs(settings: dict[str, object]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items()) or "no change"


def _equal(records: ExperimentRecords) -> list[Block]:
    comparisons = compared(records)
    if not comparisons:
        return [Text("No pair has ended yet, so there is no comparison at equal cost.", "missing")]
    names = {"train_loss": "smoothed training loss", "val_loss": "validation loss"}
    rows = tuple(
        (one.treatment, names[one.figure], one.resource, str(one.n), signed(one.mean), interval(one.low, one.high))
        for one in comparisons
    )
    about = (
        "The claim compares arms at the end of their runs. Here both members of a pair are compared at the total that the "
        "cheaper one spent: estimates with 95% intervals, without a verdict. The validation loss is interpolated linearly "
        "between evaluations."
    )
    on_training_loss = {one.treatment for one in comparisons if one.figure == "train_loss"}
    if others := [one.treatment for one in comparisons if one.treatment not in on_training_loss]:
        about += (
            f" {', '.join(dict.fromkeys(others))}: trained on another objective than the baseline, so training losses have no "
            "common scale and are not compared; the validation loss is the cross-entropy in every arm."
        )
    columns = ("treatment", "loss", "at equal", "pairs", "mean difference", "95% interval")
    return [Text(about), Table("At equal steps, tokens and seconds", columns, rows, words=frozenset({0, 1, 2}))]

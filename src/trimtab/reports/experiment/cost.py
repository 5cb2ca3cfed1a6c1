"""What the arms cost, and the comparison at equal cost."""

from trimtab.reports.blocks import Block, Section, Table, Text, figure, interval, signed
from trimtab.reports.experiment.budgets import compared
from trimtab.reports.experiment.records import Records

KEY, TITLE = "cost", "Cost, and equal cost"


def cost(records: Records) -> Section:
    """Steps, tokens and seconds by arm; differences at equal steps, tokens and seconds."""
    about = (
        "Steps, tokens and seconds that were really run; a rewound step counts each time it was made. Steps saved are those that "
        "a lazy fork shared with its baseline. Seconds are of the machine that ran them, with whatever else it did."
    )
    rows = tuple(_row(records, arm) for arm in records.design.order)
    columns = (
        "arm",
        "episodes run",
        "taken from the baseline",
        "steps run",
        "steps saved",
        "tokens",
        "seconds",
        "tuning steps",
    )
    blocks: list[Block] = [Text(about), Table("Cost by arm", columns, rows)]
    if records.tuning is None:
        blocks.append(Text("No settings were searched for before the experiment.", "missing"))
    else:
        blocks += _tuning(records)
    return Section(KEY, TITLE, (*blocks, *_equal(records)))


def _row(records: Records, arm: str) -> tuple[str, ...]:
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


def _tuning(records: Records) -> list[Block]:
    assert records.tuning is not None
    rows = [
        (
            arm,
            _pairs(run.overrides),
            str(run.seed),
            run.status,
            figure(run.value, 5),
            "chosen" if run.overrides == found.chosen else "",
        )
        for arm, found in records.tuning.arms.items()
        for run in found.runs
    ]
    told = [
        f"{arm}: {_pairs(found.chosen)}, by {found.metric} over {len(found.runs)} runs and {found.steps:,} steps."
        for arm, found in records.tuning.arms.items()
    ]
    columns = ("arm", "settings", "seed", "status", "value", "")
    table = Table("The search for settings", columns, tuple(rows), words=frozenset({0, 1, 3, 5}), folded=True)
    return [Text("Settings found before the experiment, at equal compute: " + " ".join(told)), table]


def _pairs(settings: dict[str, object]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in settings.items()) or "as they are"


def _equal(records: Records) -> list[Block]:
    found = compared(records)
    if not found:
        return [Text("No pair has ended yet, so there is no comparison at equal cost.", "missing")]
    names = {"train_loss": "smoothed training loss", "val_loss": "validation loss"}
    rows = tuple(
        (one.treatment, names[one.figure], one.resource, str(one.n), signed(one.mean), interval(one.low, one.high))
        for one in found
    )
    about = (
        "The claim is on equal steps. The same differences where both members of a pair have spent what the thriftier one spent "
        "in all: estimates, with 95% intervals and no verdict. The validation loss is read off the line between two evaluations."
    )
    if others := [
        one.treatment for one in found if one.treatment not in {o.treatment for o in found if o.figure == "train_loss"}
    ]:
        about += (
            f" {', '.join(dict.fromkeys(others))}: trained on another objective than the baseline, whose training losses have no "
            "common scale; the validation loss is the cross-entropy in every arm."
        )
    columns = ("treatment", "figure", "equal", "pairs", "mean difference", "95% interval")
    return [Text(about), Table("At equal steps, tokens and seconds", columns, rows, words=frozenset({0, 1, 2}))]

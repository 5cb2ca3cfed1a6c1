"""The results compared with the levels that were set before the run."""

from dataclasses import dataclass

from trimtab.boundary import counted
from trimtab.records.memory_rows import SIDES, GenerationRow, Sides
from trimtab.reports.blocks import DASH, Block, Section, Table, Text, figure
from trimtab.reports.memory.records import MemoryRecords, Solving, Stage
from trimtab.reports.memory.words import absent, finite, mean, percent, quantile, share_of, wilson

KEY, TITLE = "results", "Results"

LEVELS = ("minimum", "good", "excellent")


@dataclass(frozen=True)
class Bar:
    """The thresholds of a result: one, or one per level of `LEVELS`; the result must be strictly above, or below, them."""

    thresholds: tuple[float, ...]
    above: bool

    def reached(self, value: float | None) -> str:
        """The highest level that the value reaches."""
        if value is None:
            return DASH
        passed = sum(value > bar if self.above else value < bar for bar in self.thresholds)
        if len(self.thresholds) == 1:
            return "reached" if passed else "not reached"
        return LEVELS[passed - 1] if passed else "below minimum"


CONVERGENCE = Bar((0.4, 0.7, 0.9), above=True)
RATIO = Bar((0.4, 0.25, 0.15), above=False)
TIMES = Bar((2.0, 1.5, 1.2), above=False)
PASS = Bar((0.8,), above=True)


def results(records: MemoryRecords) -> Section:
    """The results next to their thresholds, and both criteria."""
    joint = records.joint
    if joint is None:
        return absent(KEY, TITLE, f"The joint stage has no result: {why_no_joint(records)}.")
    about = (
        "A pair has converged (the strict criterion) when its final loss is below 0.3 times the loss under random vectors and "
        "every target token is the most likely one by the margin. The loss ratio of a pair is its final loss divided by the loss "
        "under random vectors, both averaged over question (Q) and answer (A), for the restart that solved it or else the "
        "best one."
    )
    if records.generation:
        about += (
            " The threshold of the rows 'pass among converged' applies to the share of converged pairs whose question and answer "
            "both pass the generation check."
        )
    rows = [_convergence(joint), _ratio(records, joint), _times(records, joint), *_passes(records, joint)]
    columns = ("result", "value", "95% interval", *LEVELS, "reached")
    blocks: list[Block] = [Text(about), Table("Results and thresholds", columns, tuple(rows), words=frozenset({0, 6}))]
    if not records.baselines:
        blocks.append(Text("The losses have no baseline: there is no baselines.jsonl.", "missing"))
    if not records.generation:
        blocks.append(Text("There is no pass rate: the generation check was not run.", "missing"))
    return Section(KEY, TITLE, (*blocks, _criteria(joint), *_within(records, joint), *_waited(joint)))


def why_no_joint(records: MemoryRecords) -> str:
    """Why the joint stage has no result, as a clause."""
    closed = next((gate for gate in records.gates if not gate.passed and gate.gate.startswith("single")), None)
    if records.stopped and closed is not None:
        return f"the gate '{closed.gate.replace('_', ' ')}' stopped the run before the joint stage"
    ended = records.summary is not None and records.summary.status == "completed"
    return "the joint stage was not run" if ended else "no candidate of the joint stage has ended"


def _convergence(joint: Stage) -> tuple[str, ...]:
    hits, trials = joint.solved, joint.trials
    word = CONVERGENCE.reached(hits / trials) if trials == len(joint.pairs) else "not ended"
    return ("converged (strict)", share_of(hits, trials), wilson(hits, trials), *_bars(CONVERGENCE, ">"), word)


def _ratio(records: MemoryRecords, joint: Stage) -> tuple[str, ...]:
    ratios = [loss_ratio(records, pair, solving) for pair, solving in joint.pairs.items()]
    value = mean(ratios)
    bars = tuple(f"< {bar:g}" for bar in RATIO.thresholds)
    text = f"{figure(value, 3)} (median {figure(quantile(finite(ratios), 0.5), 3)})" if value is not None else DASH
    return ("mean loss ratio", text, DASH, *bars, RATIO.reached(value))


def loss_ratio(records: MemoryRecords, pair: str, solving: Solving) -> float | None:
    """The final loss divided by that under random vectors, each the mean of both sides; None without a baseline."""
    base = records.baselines.get(pair)
    own = mean(solving.best.loss.known)
    random = mean(base.random.known) if base is not None else None
    return own / random if own is not None and random else None


def _times(records: MemoryRecords, joint: Stage) -> tuple[str, ...]:
    """The mean loss of question and of answer divided by that under full context; the row gives the larger ratio."""
    times = {side: times_context(records, joint, side) for side in SIDES}
    known = finite(times.values())
    value = max(known) if len(known) == 2 else None
    text = (
        f"{figure(value, 3)} (Q {figure(times['question'], 3)}, A {figure(times['answer'], 3)})"
        if value is not None
        else DASH
    )
    bars = tuple(f"< {bar:g}" for bar in TIMES.thresholds)
    return ("mean loss / full context, the larger of Q and A", text, DASH, *bars, TIMES.reached(value))


def times_context(records: MemoryRecords, joint: Stage, side: str) -> float | None:
    """The mean final loss of one side divided by its mean under full context, over the pairs that have both."""
    sides = [(solving.best.loss.of(side), records.baselines[pair].context.of(side))
             for pair, solving in joint.pairs.items() if pair in records.baselines]  # fmt: skip
    both = [(own, full) for own, full in sides if own is not None and full is not None]
    own, full = mean(own for own, _ in both), mean(full for _, full in both)
    return own / full if own is not None and full else None


def _passes(records: MemoryRecords, joint: Stage) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for precision, words in verdicts(records.generation).items():
        solved = [words[pair] for pair, solving in joint.pairs.items() if solving.solved and pair in words]
        hits = solved.count("pass")
        share = hits / len(solved) if solved else None
        bars = (f"> {percent(PASS.thresholds[0])}", DASH, DASH)
        rows.append((f"pass among converged, {precision}", share_of(hits, len(solved)), wilson(hits, len(solved)), *bars,
                     PASS.reached(share)))  # fmt: skip
        every, trials = sum(words.get(pair) == "pass" for pair in joint.pairs), joint.trials
        rows.append((f"pass among all pairs, {precision}", share_of(every, trials), wilson(every, trials),
                     DASH, DASH, DASH, DASH))  # fmt: skip
    return rows


def verdicts(generation: list[GenerationRow]) -> dict[str, dict[str, str]]:
    """By precision and pair: the worse of the verdicts on the two sides."""
    order = ("fail", "partial", "pass")
    by_precision: dict[str, dict[str, str]] = {}
    for row in generation:
        own = by_precision.setdefault(row.precision, {})
        own[row.pair] = min(row.verdict, own.get(row.pair, "pass"), key=order.index)
    return by_precision


def _criteria(joint: Stage) -> Table:
    pairs = list(joint.pairs.values())
    first = [min(one.candidates, key=lambda c: c.restart) for one in pairs]
    counts = (
        ("strict", sum(one.solved for one in pairs), sum(c.start_converged for c in first)),
        ("lenient (used by no gate)", sum(one.lenient for one in pairs), sum(c.start_lenient for c in first)),
    )
    rows = tuple(
        (
            name,
            share_of(hits, joint.trials),
            wilson(hits, joint.trials),
            share_of(start, len(pairs)),  # known only for pairs that have ended, so the denominator is their number
            wilson(start, len(pairs)),
        )
        for name, hits, start in counts
    )
    return Table("Both criteria", ("criterion", "met", "95% interval", "met at step 0", "95% interval at step 0"), rows)


def _within(records: MemoryRecords, joint: Stage) -> list[Block]:
    trials = len({*records.pairs, *joint.pairs} & records.baselines.keys())
    if not trials:
        return []
    hits = [(times, both_below(records, joint, times)) for times in TIMES.thresholds]
    rows = tuple((f"{times:g} times", share_of(n, trials), wilson(n, trials)) for times, n in hits)
    return [
        Table(
            "Pairs whose Q and A are both below a multiple of the full-context loss",
            ("multiple", "pairs", "95% interval"),
            rows,
        )
    ]


def _waited(joint: Stage) -> list[Block]:
    waiting = joint.trials - len(joint.pairs)
    return (
        [Text(f"{counted(waiting, 'pair')} of the run had not ended yet; shares count them as unsolved.", "warning")]
        if waiting > 0
        else []
    )


def _bars(bar: Bar, sign: str) -> tuple[str, ...]:
    return tuple(f"{sign} {percent(threshold)}" for threshold in bar.thresholds)


def both_below(records: MemoryRecords, joint: Stage, times: float) -> int:
    """The number of pairs whose losses are both below `times` those under full context."""
    return sum(
        _below(solving.best.loss, records.baselines[pair].context, times)
        for pair, solving in joint.pairs.items()
        if pair in records.baselines
    )


def _below(own: Sides, full: Sides, times: float) -> bool:
    sides = [(own.of(side), full.of(side)) for side in SIDES]
    return all(a is not None and b is not None and a < times * b for a, b in sides)

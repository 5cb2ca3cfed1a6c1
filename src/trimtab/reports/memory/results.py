"""The results against the levels that were set before the run."""

from dataclasses import dataclass

from trimtab.boundary import counted
from trimtab.records.memory_rows import SIDES, GenerationRow, Sides
from trimtab.reports.blocks import DASH, Block, Section, Table, Text, figure
from trimtab.reports.memory.records import Records, Solving, Stage
from trimtab.reports.memory.words import absent, finite, mean, percent, quantile, share_of, wilson

KEY, TITLE = "results", "Results"

LEVELS = ("minimum", "good", "excellent")


@dataclass(frozen=True)
class Bar:
    """What a figure is compared with: one threshold, or one for each of `LEVELS`; strictly above, or below."""

    thresholds: tuple[float, ...]
    above: bool

    def reached(self, value: float | None) -> str:
        """The highest level that the value reaches, in a word."""
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


def results(records: Records) -> Section:
    """The table of thresholds, and both criteria side by side."""
    joint = records.joint
    if joint is None:
        return absent(KEY, TITLE, f"The joint stage has no result: {why_no_joint(records)}.")
    about = (
        "A pair counts as converged by the strict criterion, as the engine recorded it: final loss below 0.3 times that under "
        "random vectors, and every target token first by the margin. The loss ratio is a pair's final loss over that under "
        "random vectors, both as the mean of question and answer, of its solving restart or else its best."
    )
    if records.generation:
        about += (
            " The last threshold counts the converged pairs whose question and answer both pass the generation check."
        )
    rows = [_convergence(joint), _ratio(records, joint), _times(records, joint), *_passes(records, joint)]
    columns = ("figure", "value", "95% interval", *LEVELS, "reached")
    blocks: list[Block] = [Text(about), Table("Against the thresholds", columns, tuple(rows), words=frozenset({0, 6}))]
    if not records.baselines:
        blocks.append(Text("The losses are compared with no baseline: there is no baselines.jsonl.", "missing"))
    if not records.generation:
        blocks.append(Text("No pass rate: the generation check was not run.", "missing"))
    return Section(KEY, TITLE, (*blocks, _criteria(joint), *_within(records, joint), *_waited(joint)))


def why_no_joint(records: Records) -> str:
    """Why there is no joint stage, for the middle of a sentence."""
    closed = next((gate for gate in records.gates if not gate.passed and gate.gate.startswith("single")), None)
    if records.stopped and closed is not None:
        return f"the gate '{closed.gate.replace('_', ' ')}' stopped the run before it"
    ended = records.summary is not None and records.summary.status == "completed"
    return "it was not run" if ended else "no candidate of it has ended"


def _convergence(joint: Stage) -> tuple[str, ...]:
    hits, trials = joint.solved, joint.trials
    word = CONVERGENCE.reached(hits / trials) if trials == len(joint.pairs) else "not ended"
    return ("converged (strict)", share_of(hits, trials), wilson(hits, trials), *_bars(CONVERGENCE, ">"), word)


def _ratio(records: Records, joint: Stage) -> tuple[str, ...]:
    ratios = [loss_ratio(records, pair, solving) for pair, solving in joint.pairs.items()]
    value = mean(ratios)
    bars = tuple(f"< {bar:g}" for bar in RATIO.thresholds)
    told = f"{figure(value, 3)} (median {figure(quantile(finite(ratios), 0.5), 3)})" if value is not None else DASH
    return ("mean loss ratio", told, DASH, *bars, RATIO.reached(value))


def loss_ratio(records: Records, pair: str, solving: Solving) -> float | None:
    """The final loss over that under random vectors, means of both sides; None without a baseline."""
    base = records.baselines.get(pair)
    own = mean(solving.best.loss.known)
    random = mean(base.random.known) if base is not None else None
    return own / random if own is not None and random else None


def _times(records: Records, joint: Stage) -> tuple[str, ...]:
    """Question and answer each against full context, as ratios of means; the worse of the two is the figure."""
    times = {side: times_context(records, joint, side) for side in SIDES}
    known = finite(times.values())
    value = max(known) if len(known) == 2 else None
    told = (
        f"{figure(value, 3)} (Q {figure(times['question'], 3)}, A {figure(times['answer'], 3)})"
        if value is not None
        else DASH
    )
    bars = tuple(f"< {bar:g}" for bar in TIMES.thresholds)
    return ("mean loss of Q and A over full context, the worse", told, DASH, *bars, TIMES.reached(value))


def times_context(records: Records, joint: Stage, side: str) -> float | None:
    """The mean final loss of one side over its mean under full context, over the pairs that have both."""
    sides = [(solving.best.loss.of(side), records.baselines[pair].context.of(side))
             for pair, solving in joint.pairs.items() if pair in records.baselines]  # fmt: skip
    both = [(own, full) for own, full in sides if own is not None and full is not None]
    own, full = mean(own for own, _ in both), mean(full for _, full in both)
    return own / full if own is not None and full else None


def _passes(records: Records, joint: Stage) -> list[tuple[str, ...]]:
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
    """By precision and pair: the worse of the verdicts on its two sides."""
    order = ("fail", "partial", "pass")
    found: dict[str, dict[str, str]] = {}
    for row in generation:
        own = found.setdefault(row.precision, {})
        own[row.pair] = min(row.verdict, own.get(row.pair, "pass"), key=order.index)
    return found


def _criteria(joint: Stage) -> Table:
    pairs = list(joint.pairs.values())
    first = [min(one.candidates, key=lambda c: c.restart) for one in pairs]
    counts = (
        ("strict, which gates", sum(one.solved for one in pairs), sum(c.start_converged for c in first)),
        ("lenient, which gates nothing", sum(one.lenient for one in pairs), sum(c.start_lenient for c in first)),
    )
    rows = tuple(
        (
            name,
            share_of(hits, joint.trials),
            wilson(hits, joint.trials),
            share_of(start, len(pairs)),  # known of those alone that have ended
            wilson(start, len(pairs)),
        )
        for name, hits, start in counts
    )
    return Table("Both criteria", ("criterion", "met", "95% interval", "met at step 0", "95% interval of that"), rows)


def _within(records: Records, joint: Stage) -> list[Block]:
    trials = len({*records.pairs, *joint.pairs} & records.baselines.keys())
    if not trials:
        return []
    hits = [(times, both_below(records, joint, times)) for times in TIMES.thresholds]
    rows = tuple((f"{times:g} times", share_of(n, trials), wilson(n, trials)) for times, n in hits)
    return [Table("Pairs whose Q and A are both below full context", ("below", "pairs", "95% interval"), rows)]


def _waited(joint: Stage) -> list[Block]:
    waiting = joint.trials - len(joint.pairs)
    return (
        [Text(f"{counted(waiting, 'pair')} of the run had not ended yet: shares count them as not solved.", "warning")]
        if waiting > 0
        else []
    )


def _bars(bar: Bar, sign: str) -> tuple[str, ...]:
    return tuple(f"{sign} {percent(threshold)}" for threshold in bar.thresholds)


def both_below(records: Records, joint: Stage, times: float) -> int:
    """How many pairs have both losses below `times` that under full context."""
    return sum(
        _below(solving.best.loss, records.baselines[pair].context, times)
        for pair, solving in joint.pairs.items()
        if pair in records.baselines
    )


def _below(own: Sides, full: Sides, times: float) -> bool:
    sides = [(own.of(side), full.of(side)) for side in SIDES]
    return all(a is not None and b is not None and a < times * b for a, b in sides)

"""Decoded texts under the memories, next to the expected texts."""

from collections import Counter

from trimtab.records.memory_rows import SIDES, GenerationRow
from trimtab.reports.blocks import Block, Section, Table, Text, figure
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.results import verdicts, why_no_joint
from trimtab.reports.memory.words import absent, clipped, percent, share_of, spread, wilson

KEY, TITLE = "generation", "Generation"

WORDS = ("pass", "partial", "fail")

SAMPLES = {"pass": 4, "partial": 6, "fail": 8}
"""The most samples shown per verdict."""


def generation(records: MemoryRecords) -> Section:
    """Verdicts by precision, degenerate pairs, and samples."""
    if not records.generation:
        after = f": {why_no_joint(records)}" if records.joint is None else ""
        return absent(KEY, TITLE, f"The generation check was not run{after}.")
    about = (
        "Greedy decoding in both modes, until the end token. Pass: the tokens equal the target's, or the texts are equal after "
        "SQuAD normalisation. Partial: token F1 of 0.5 or more. Fail: anything else. The verdict of a pair is the worse of its "
        "two sides. For an unsolved pair the vectors with the lowest loss are decoded; they are not a memory."
    )
    blocks: list[Block] = [
        Text(about),
        _counts(records.generation),
        *_degenerate(records),
        _samples(records.generation),
    ]
    return Section(KEY, TITLE, tuple(blocks))


def _counts(decodes: list[GenerationRow]) -> Table:
    rows = []
    for precision in dict.fromkeys(row.precision for row in decodes):
        for solved, pair in ((True, "pair"), (False, "pair, unsolved")):
            group = [row for row in decodes if row.precision == precision and row.solved == solved]
            for side in SIDES if solved else ():
                own = [row for row in group if row.side == side]
                exact = sum(row.tokens_exact for row in own)
                rows.append(_row(precision, side, Counter(row.verdict for row in own), len(own), exact))
            words = verdicts(group).get(precision, {})
            if solved or words:
                rows.append(_row(precision, pair, Counter(words.values()), len(words), None))
    columns = ("precision", "of", *WORDS, "95% interval of pass", "token-exact")
    return Table("Verdicts", columns, tuple(rows), words=frozenset({0, 1}))


def _row(precision: str, of: str, counts: Counter[str], trials: int, exact: int | None) -> tuple[str, ...]:
    shares = (share_of(counts[word], trials) for word in WORDS)
    return (precision, of, *shares, wilson(counts["pass"], trials), "" if exact is None else share_of(exact, trials))


def degenerate(records: MemoryRecords, precision: str) -> dict[str, str]:
    """Pairs with a low loss whose decode does not pass, and the criterion that their loss met."""
    words = verdicts(records.generation).get(precision, {})
    pairs = records.joint.pairs if records.joint is not None else {}
    return {
        pair: "strict" if solving.solved else "lenient"
        for pair, solving in pairs.items()
        if (solving.solved or solving.lenient) and words.get(pair, "pass") != "pass"
    }


def _degenerate(records: MemoryRecords) -> list[Block]:
    if records.joint is None:
        return [Text("Degenerate pairs are not known: the joint stage has no record.", "missing")]
    shares, rows = [], []
    for precision, words in verdicts(records.generation).items():
        pairs = degenerate(records, precision)
        low = [pair for pair, one in records.joint.pairs.items() if (one.solved or one.lenient) and pair in words]
        strict = sum(criterion == "strict" for criterion in pairs.values())
        shares.append(f"{precision}: {share_of(len(pairs), len(low))}, of which {strict} by the strict criterion")
        for pair, criterion in pairs.items():
            loss = records.joint.pairs[pair].best.loss
            rows.append((pair, precision, criterion, words[pair], figure(loss.question, 3), figure(loss.answer, 3)))
    blocks: list[Block] = [
        Text(
            "Degenerate pairs (solved, or within the lenient criterion at some step, but no passing decode): "
            f"{'; '.join(shares)}."
        )
    ]
    if rows:
        columns = ("pair", "precision", "criterion met", "verdict", "loss of Q", "loss of A")
        blocks.append(Table("Degenerate pairs", columns, tuple(rows), words=frozenset(range(4)), folded=len(rows) > 8))
    return blocks


def _samples(decodes: list[GenerationRow]) -> Table:
    chosen = [
        row for word, count in SAMPLES.items() for row in spread([one for one in decodes if one.verdict == word], count)
    ]
    rows = tuple(
        (row.pair, row.verdict, clipped(row.expected), clipped(row.decoded), row.side, row.precision, percent(row.f1))
        for row in chosen
    )
    columns = ("pair", "verdict", "expected", "decoded", "mode", "precision", "F1")
    return Table("Samples", columns, rows, words=frozenset(range(6)))

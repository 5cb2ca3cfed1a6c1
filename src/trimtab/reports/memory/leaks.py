"""What a memory reveals beyond the text of its mode, and how many bits each vector stores."""

from typing import Any

import numpy as np

from trimtab.records.memory_measurements import Estimate, LeaksRecord, PerVector
from trimtab.records.memory_rows import SIDES
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure, signed
from trimtab.reports.drawing import drawable, fit, plot
from trimtab.reports.memory.records import MemoryRecords
from trimtab.reports.memory.words import absent, mean, mean_span, percent, quantile, span
from trimtab.reports.style import BLUE, INK, ORANGE, TEAL

KEY, TITLE = "leaks", "Leaks"
BITS_KEY, BITS_TITLE = "bits", "Bits per vector"

TEXTS = {
    "question": "the question",
    "answer": "the answer",
    "counterfactual": "a counterfactual answer",
    "other": "another pair's answer",
}
SHORT = {"question": "question", "answer": "answer", "counterfactual": "counterfactual", "other": "other pair's"}
MODES = {"question": "question mode", "answer": "answer mode", "none": "no mode"}


def leaks(records: MemoryRecords) -> Section:
    """Bits by text and mode, with intervals."""
    record = records.leaks
    if record is None or not record.bits:
        return absent(KEY, TITLE, "Leaks were not measured: there is no leaks.json, or it holds no bits.")
    about = (
        "The loss of a whole text under the memory minus its loss without one (the prior), in bits: means over pairs with 95% "
        "intervals. Values far below zero mean that the memory makes the model produce that text; the prior covers what the "
        "model knew already. The pair's own texts should be lowest in their own mode. The lower they are in the other mode, or "
        "without a mode, the less the mode keeps them apart. Texts of other pairs should not be below zero."
    )
    texts = [*(text for text in TEXTS if text in record.bits), *sorted(set(record.bits) - set(TEXTS))]
    modes = [*MODES, *sorted({mode for row in record.bits.values() for mode in row} - set(MODES))]
    rows = tuple(
        (TEXTS.get(text, text), *(part for mode in modes for part in _parts(record.bits[text].get(mode))))
        for text in texts
    )
    columns = (
        "text",
        *(part for mode in modes for part in (MODES.get(mode, mode), f"interval, {MODES.get(mode, mode)}")),
    )
    blocks: list[Block] = [
        Text(about),
        *_locks(record),
        Plots((_plot(record, texts, modes),)),
        Table("Bits, minus the prior", columns, rows),
    ]
    lacking = [name for text, name in TEXTS.items() if text not in record.bits]
    if lacking:
        blocks.append(Text(f"Not measured: {', '.join(lacking)}.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _locks(record: LeaksRecord) -> list[Text]:
    """The share of its bits that a text keeps in the other mode and without a mode."""
    sentences = []
    for side, other in (("question", "answer"), ("answer", "question")):
        row = record.bits.get(side, {})
        own = row[side].mean if side in row else 0.0
        if own < 0:
            kept = [f"{percent(row[mode].mean / own)} in {MODES[mode]}" for mode in (other, "none") if mode in row]
            sentences.append(f"Of the bits gained in its own mode, {TEXTS[side]} keeps {' and '.join(kept)}.")
    return [Text(" ".join(sentences))] if sentences else []


def _parts(estimate: Estimate | None) -> tuple[str, str]:
    return (
        (signed(None), signed(None))
        if estimate is None
        else (signed(_rounded(estimate.mean)), span(estimate.low, estimate.high))
    )


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _plot(record: LeaksRecord, texts: list[str], modes: list[str]) -> Plot:
    colours = (BLUE, ORANGE, TEAL)

    def draw(figure: Any, axes: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        handles, labels, shown = [], [], [0.0]
        for place, mode in enumerate(modes):
            own = [(at, record.bits[text][mode]) for at, text in enumerate(texts) if mode in record.bits[text]]
            own = [(at, estimate) for at, estimate in own if np.isfinite(estimate.mean)]
            if not own:
                continue
            heights = [at + 0.24 * (place - (len(modes) - 1) / 2) for at, _ in own]
            error = np.array([_error(estimate) for _, estimate in own]).T
            means = [estimate.mean for _, estimate in own]
            marker = "osD^v"[place % 5]
            bar = axes.errorbar(
                means, heights, xerr=error, fmt=marker, color=colours[place % 3], ms=5, lw=1.6, capsize=2.5
            )
            handles.append(bar)
            labels.append(drawable(MODES.get(mode, mode)))
            shown += [mean + side for mean, ends in zip(means, error.T, strict=True) for side in (-ends[0], ends[1])]
        axes.axvline(0.0, color=INK, lw=1.0)
        axes.set_yticks(range(len(texts)), [drawable(SHORT.get(text, text), 18) for text in texts])
        axes.set_ylim(len(texts) - 0.5, -0.5)
        axes.set_xlabel("bits, minus the prior")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        figure.legend(
            handles, labels, loc="outside upper left", ncols=3, fontsize=9.5, handlelength=1.4, columnspacing=1.0
        )

    summary = "; ".join(
        f"{TEXTS.get(text, text)}: "
        + ", ".join(f"{MODES.get(mode, mode)} {estimate.mean:.3g}" for mode, estimate in row.items())
        for text, row in ((text, record.bits[text]) for text in texts)
    )
    return plot(
        "leaks", "Bits under the memory, minus the prior", f"Bits minus the prior. {summary}.", draw, height=3.4
    )


def _error(estimate: Estimate) -> tuple[float, float]:
    ends = (estimate.low, estimate.high)
    if any(end is None or not np.isfinite(end) for end in ends):
        return 0.0, 0.0
    return max(0.0, estimate.mean - (ends[0] or 0.0)), max(0.0, (ends[1] or 0.0) - estimate.mean)


def bits(records: MemoryRecords) -> Section:
    """Bits per vector, and the bits of every memory over its number of tokens."""
    per_vector = records.leaks.per_vector if records.leaks is not None else None
    if per_vector is None:
        return absent(BITS_KEY, BITS_TITLE, "Bits were not measured: there is no per_vector in leaks.json.")
    blocks: list[Block] = [
        Text(
            "The bits that a memory stores: the loss of question and answer without the memory minus their loss with it, each in "
            f"its own mode. Per vector: {_per_vector(per_vector)}."
        )
    ]
    if per_vector.pairs:
        blocks += [Plots((_over_tokens(per_vector),)), _thirds(per_vector)]
    else:
        blocks.append(
            Text(
                "The bits of single memories were not recorded, so they are not drawn over the number of tokens.",
                "missing",
            )
        )
    return Section(BITS_KEY, BITS_TITLE, tuple(blocks))


def _per_vector(per_vector: PerVector) -> str:
    estimate = per_vector.bits_per_vector
    return f"{figure(estimate.mean, 3)} bits (95% interval {span(estimate.low, estimate.high)})"


def _over_tokens(per_vector: PerVector) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        tokens = [one.question_tokens + one.answer_tokens for one in per_vector.pairs]
        axes.plot(tokens, [one.bits for one in per_vector.pairs], "o", color=BLUE, ms=4, alpha=0.7, mew=0)
        fit(axes, [0.0, *(one.bits for one in per_vector.pairs)])
        axes.set_xlim(0, 1.06 * max(tokens) or 1.0)
        axes.set_xlabel("tokens of question and answer")
        axes.set_ylabel("bits in the memory")

    a_token = _per_token(per_vector)
    description = (
        f"Bits of {len(per_vector.pairs)} memories over their tokens; mean {figure(mean(a_token), 3)} bits per token."
    )
    return plot("bits-tokens", "Bits of a memory over its number of tokens", description, draw)


def _per_token(per_vector: PerVector) -> list[float | None]:
    tokens = [(one.bits, one.question_tokens + one.answer_tokens) for one in per_vector.pairs]
    return [stored / count if count else None for stored, count in tokens]


def _thirds(per_vector: PerVector) -> Table:
    ordered = sorted(per_vector.pairs, key=lambda one: (one.question_tokens + one.answer_tokens, one.pair))
    rows = []
    for group in np.array_split(np.arange(len(ordered)), min(3, len(ordered))):
        own = [ordered[place] for place in group]
        tokens = [one.question_tokens + one.answer_tokens for one in own]
        stored = [one.bits for one in own]
        each = [figure(mean(getattr(one, f"{side}_tokens") for one in own), 3) for side in SIDES]
        vectors = f"{figure((mean(stored) or 0.0) / per_vector.vectors, 3)}" if per_vector.vectors else signed(None)
        rows.append((f"{min(tokens)} to {max(tokens)}", str(len(own)), *each, figure(mean(stored), 4), mean_span(stored),
                     figure(quantile(stored, 0.5), 4), vectors))  # fmt: skip
    columns = (
        "tokens",
        "memories",
        "question tokens",
        "answer tokens",
        "mean bits",
        "95% interval",
        "median bits",
        "bits per vector",
    )
    return Table("Bits by the number of tokens", columns, tuple(rows))

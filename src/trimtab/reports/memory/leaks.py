"""What a memory gives away besides what it is asked, and how many bits a vector holds."""

from typing import Any

import numpy as np

from trimtab.records.memory_rows import SIDES
from trimtab.reports.blocks import Block, Plot, Plots, Section, Table, Text, figure, signed
from trimtab.reports.drawing import drawable, fit, plot
from trimtab.reports.memory.measures import Estimate, Leaks, PerVector
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.words import absent, mean, mean_span, percent, quantile, span
from trimtab.reports.style import BLUE, INK, ORANGE, TEAL

KEY, TITLE = "leaks", "Leaks"
BITS_KEY, BITS_TITLE = "bits", "Bits a vector"

TEXTS = {
    "question": "the question",
    "answer": "the answer",
    "counterfactual": "a counterfactual answer",
    "other": "another pair's answer",
}
SHORT = {"question": "question", "answer": "answer", "counterfactual": "counterfactual", "other": "other pair's"}
MODES = {"question": "question mode", "answer": "answer mode", "none": "no mode"}


def leaks(records: Records) -> Section:
    """The matrix in bits, with intervals."""
    found = records.leaks
    if found is None or not found.bits:
        return absent(KEY, TITLE, "Leaks were not measured: there is no leaks.json, or it holds no bits.")
    about = (
        "The loss of a whole text under the memory minus its loss without one (the model's prior), in bits, means over pairs "
        "with 95% intervals. Far below zero: the memory makes the model say that text; what the model knew before is in the "
        "prior. Each of the pair's own texts should be lowest in its own mode, and how near it comes to that in the other "
        "mode, or in none, is how weak a lock the mode is. Texts of other pairs should not be below zero."
    )
    texts = [*(text for text in TEXTS if text in found.bits), *sorted(set(found.bits) - set(TEXTS))]
    modes = [*MODES, *sorted({mode for row in found.bits.values() for mode in row} - set(MODES))]
    rows = tuple(
        (TEXTS.get(text, text), *(part for mode in modes for part in _parts(found.bits[text].get(mode))))
        for text in texts
    )
    columns = (
        "text",
        *(part for mode in modes for part in (MODES.get(mode, mode), f"interval in {MODES.get(mode, mode)}")),
    )
    blocks: list[Block] = [
        Text(about),
        *_locks(found),
        Plots((_plot(found, texts, modes),)),
        Table("Bits, minus the prior", columns, rows),
    ]
    lacking = [name for text, name in TEXTS.items() if text not in found.bits]
    if lacking:
        blocks.append(Text(f"Not measured: {', '.join(lacking)}.", "missing"))
    return Section(KEY, TITLE, tuple(blocks))


def _locks(found: Leaks) -> list[Text]:
    """What of its bits a text keeps when the other mode, or none, is asked."""
    told = []
    for side, other in (("question", "answer"), ("answer", "question")):
        row = found.bits.get(side, {})
        own = row[side].mean if side in row else 0.0
        if own < 0:
            kept = [f"{percent(row[mode].mean / own)} in {MODES[mode]}" for mode in (other, "none") if mode in row]
            told.append(f"Of what it gains in its own mode, {TEXTS[side]} keeps {' and '.join(kept)}.")
    return [Text(" ".join(told))] if told else []


def _parts(estimate: Estimate | None) -> tuple[str, str]:
    return (
        (signed(None), signed(None))
        if estimate is None
        else (signed(_rounded(estimate.mean)), span(estimate.low, estimate.high))
    )


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _plot(found: Leaks, texts: list[str], modes: list[str]) -> Plot:
    colours = (BLUE, ORANGE, TEAL)

    def draw(figure: Any, axes: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        handles, labels, shown = [], [], [0.0]
        for place, mode in enumerate(modes):
            own = [(at, found.bits[text][mode]) for at, text in enumerate(texts) if mode in found.bits[text]]
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

    told = "; ".join(
        f"{TEXTS.get(text, text)}: "
        + ", ".join(f"{MODES.get(mode, mode)} {estimate.mean:.3g}" for mode, estimate in row.items())
        for text, row in ((text, found.bits[text]) for text in texts)
    )
    return plot("leaks", "Bits under the memory, minus the prior", f"Bits minus the prior. {told}.", draw, height=3.4)


def _error(estimate: Estimate) -> tuple[float, float]:
    ends = (estimate.low, estimate.high)
    if any(end is None or not np.isfinite(end) for end in ends):
        return 0.0, 0.0
    return max(0.0, estimate.mean - (ends[0] or 0.0)), max(0.0, (ends[1] or 0.0) - estimate.mean)


def bits(records: Records) -> Section:
    """Bits a vector, and bits of every memory over its token counts."""
    found = records.leaks.per_vector if records.leaks is not None else None
    if found is None:
        return absent(BITS_KEY, BITS_TITLE, "Bits were not measured: there is no per_vector in leaks.json.")
    blocks: list[Block] = [
        Text(
            "Bits that a memory holds: the prior's loss of question and answer minus their loss under the memory, each in "
            f"its own mode. A vector: {_per_vector(found)}."
        )
    ]
    if found.pairs:
        blocks += [Plots((_over_tokens(found),)), _thirds(found)]
    else:
        blocks.append(
            Text("Bits of single memories were not recorded, so there is none over the token counts.", "missing")
        )
    return Section(BITS_KEY, BITS_TITLE, tuple(blocks))


def _per_vector(found: PerVector) -> str:
    told = found.bits_per_vector
    if isinstance(told, Estimate):
        return f"{figure(told.mean, 3)} bits (95% interval {span(told.low, told.high)})"
    return f"{figure(told, 3)} bits" if told is not None else "not recorded"


def _over_tokens(found: PerVector) -> Plot:
    def draw(figure: Any, axes: Any) -> None:
        tokens = [one.question_tokens + one.answer_tokens for one in found.pairs]
        axes.plot(tokens, [one.bits for one in found.pairs], "o", color=BLUE, ms=4, alpha=0.7, mew=0)
        fit(axes, [0.0, *(one.bits for one in found.pairs)])
        axes.set_xlim(0, 1.06 * max(tokens) or 1.0)
        axes.set_xlabel("tokens of question and answer")
        axes.set_ylabel("bits in the memory")

    a_token = _per_token(found)
    description = (
        f"Bits of {len(found.pairs)} memories over their tokens; mean {figure(mean(a_token), 3)} bits a token."
    )
    return plot("bits-tokens", "Bits of a memory over its tokens", description, draw)


def _per_token(found: PerVector) -> list[float | None]:
    tokens = [(one.bits, one.question_tokens + one.answer_tokens) for one in found.pairs]
    return [held / count if count else None for held, count in tokens]


def _thirds(found: PerVector) -> Table:
    ordered = sorted(found.pairs, key=lambda one: (one.question_tokens + one.answer_tokens, one.pair))
    rows = []
    for group in np.array_split(np.arange(len(ordered)), min(3, len(ordered))):
        own = [ordered[place] for place in group]
        tokens = [one.question_tokens + one.answer_tokens for one in own]
        held = [one.bits for one in own]
        each = [figure(mean(getattr(one, f"{side}_tokens") for one in own), 3) for side in SIDES]
        vectors = f"{figure((mean(held) or 0.0) / found.vectors, 3)}" if found.vectors else signed(None)
        rows.append((f"{min(tokens)} to {max(tokens)}", str(len(own)), *each, figure(mean(held), 4), mean_span(held),
                     figure(quantile(held, 0.5), 4), vectors))  # fmt: skip
    columns = (
        "tokens",
        "memories",
        "question's",
        "answer's",
        "mean bits",
        "95% interval",
        "median bits",
        "bits a vector",
    )
    return Table("Bits by the number of tokens", columns, tuple(rows))

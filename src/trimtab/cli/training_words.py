"""Formats the rows of a training run for the command line."""

from collections.abc import Mapping
from typing import Any

from trimtab.boundary import counted

Row = Mapping[str, Any]

_HIDDEN = ("checkpoint", "end")
"""Kinds of event that are not shown."""


class TrainingWords:
    """Puts steps, evaluations and events into words. Changes of regime are summarised with the next evaluation."""

    def __init__(self) -> None:
        self._validation = ""
        self._regimes: list[str] = []
        self._tokens = 0.0
        self._speed: float | None = None
        self._first = True

    def step(self, row: Row) -> str:
        """The smoothed loss, the last validation loss, and the smoothed number of tokens per second."""
        self._measure(row)
        speed = f"{self._speed:,.0f} tokens/s" if self._speed else ""
        return "  ".join(part for part in (f"loss {float(row['loss_ema']):.4f}", self._validation, speed) if part)

    def occurrence(self, row: Row) -> list[str]:
        """The facts about the data, one per line; any other event in one line, with its reason."""
        kind = row["kind"]
        if kind == "data":
            return [f"data: {fact}" for fact in row["after"]]
        if kind in _HIDDEN:
            return []
        if kind == "regime" and row["after"] != "diverged":
            self._regimes = [*(self._regimes or [row["before"]]), row["after"]]
            return []
        words = kind if kind != "regime" else f"regime: {row['before']} → {row['after']}"
        return [f"step {row['step']}: {words}: {row['reason']}"]

    def evaluation(self, row: Row) -> str:
        """Validation loss and accuracy, and what else the evaluation measured; then how the regime changed since the last one."""
        self._validation = f"validation {float(row['val_loss']):.4f}"
        parts = [
            f"step {row['step']}: validation loss {float(row['val_loss']):.4f}, accuracy {float(row['val_accuracy']):.3f}"
        ]
        if row.get("task_eval") is not None:
            parts.append(task_eval_words(row["task_eval"]))
        if (sample := row.get("sample")) is not None and (figures := _sample_words(sample["figures"])):
            parts.append(f"sample: {figures}")
        if self._regimes:
            parts.append(f"regime: {_path(self._regimes)}")
            self._regimes = []
        return "; ".join(parts)

    def _measure(self, row: Row) -> None:
        tokens, self._tokens = float(row["tokens"]) - self._tokens, float(row["tokens"])
        seconds = float(row["seconds"])
        if seconds > 0 and tokens > 0 and not self._first:
            now = tokens / seconds
            self._speed = now if self._speed is None else 0.9 * self._speed + 0.1 * now
        self._first = False


def _path(regimes: list[str]) -> str:
    """The regimes passed through: all of a few, else the first and the last."""
    if len(regimes) <= 4:
        return " → ".join(regimes)
    return f"{regimes[0]} → … → {regimes[-1]} ({len(regimes) - 1} changes)"


def _sample_words(figures: Mapping[str, Any]) -> str:
    named = (
        ("dictionary words", figures["dictionary_word_share"]),
        ("entropy", figures["character_entropy"]),
        ("repetition", figures["repetition_4"]),
    )
    return ", ".join(f"{name} {float(value):.2f}" for name, value in named if value is not None)


def task_eval_words(task_eval: Mapping[str, Any]) -> str:
    """Exact match and answer loss; where the true distribution of answers is known, also the KL divergence to it."""
    parts = [
        f"task evaluation of {counted(int(task_eval['problems']), 'problem')}",
        f"exact match {float(task_eval['exact_match']):.3f}",
        f"answer loss {float(task_eval['answer_loss']):.4f} nats per answer",
    ]
    if "truth" in task_eval:
        parts.append(f"KL to the true distribution {float(task_eval['truth']['kl']['value']):.4f} nats")
    return f"{parts[0]}: {', '.join(parts[1:])}"

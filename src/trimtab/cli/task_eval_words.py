"""The figures of a task evaluation in one line."""

from collections.abc import Mapping
from typing import Any

from trimtab.boundary import counted


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

"""An exam's figures in one line."""

from collections.abc import Mapping
from typing import Any


def exam_words(exam: Mapping[str, Any]) -> str:
    """The shares that are right, the loss on the answers, and where the true distribution is known how far it is."""
    problems = int(exam["problems"])
    found = [f"exam of {problems} problem{'' if problems == 1 else 's'}: exact match {float(exam['exact_match']):.3f}"]
    found.append(f"answer loss {float(exam['answer_loss']):.4f} nats an answer")
    if "truth" in exam:
        found.append(f"KL to the true distribution {float(exam['truth']['kl']['value']):.4f} nats")
    return ", ".join(found)

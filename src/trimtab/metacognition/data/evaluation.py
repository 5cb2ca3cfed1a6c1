"""Task evaluation of a model that thinks: answers after thoughts within their budgets, and the thoughts themselves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trimtab.config import TaskEvalConfig
from trimtab.data import IGNORE, DataBundle, Item
from trimtab.data.problem import Problem
from trimtab.generation import Completion
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.tags import split_answer
from trimtab.training.loop.task_eval import Forward, TaskEvalResult, TaskEvaluator


class ThoughtEvaluator(TaskEvaluator):
    """Answers with the model's own thoughts. Beside the figures of `TaskEvaluator`, which are about the answers alone:

    - `think_tokens`: the mean number of tokens of a thought, and `forced`, the share of thoughts that their caps ended.
    - `predicted_use`: the mean use that the model predicted under its caps.
    - `cap_confidence` and `cap_confidence_error`: the mean confidence under the caps, and how far the share of right answers is
      from it.
    """

    def __init__(self, data: DataBundle, config: TaskEvalConfig, batch_size: int) -> None:
        super().__init__(data, config, batch_size)
        assert isinstance(self.dataset, ThoughtDataset)
        self.tags = self.dataset.tags
        self._thoughts: dict[str, list[int]] = {}
        self._details: list[dict[str, Any]] = []
        self._longest = 0
        """The most tokens that a prompt and its completion had; so many fit the context."""

    def __call__(self, model: nn.Module, forward: Forward, generator: torch.Generator) -> TaskEvalResult:
        """Evaluate a model that is in evaluation mode."""
        result = super().__call__(model, forward, generator)
        rows = result.predictions
        figures: dict[str, Any] = {"think_tokens": _mean(row["think_tokens_used"] for row in rows)}
        figures["forced"] = _mean(row["forced"] for row in rows)
        decided = [row for row in rows if row.get("cap_confidence") is not None]
        if decided:
            sure, right = (_mean(row[name] for row in decided) for name in ("cap_confidence", "correct"))
            figures |= {
                "predicted_use": _mean(row["predicted_use"] for row in decided),
                "cap_confidence": sure,
                "cap_confidence_error": abs(sure - right),
            }
        return TaskEvalResult(result.figures | figures, rows)

    def answers(self, model: nn.Module, generator: torch.Generator, temperature: float) -> list[Completion]:
        """An answer to each problem, without the thought before it; the thought of the first, greedy answer is kept."""
        whole = super().answers(model, generator, temperature)
        parts = [split_answer(one.tokens, self.tags) for one in whole]
        lengths = [len(self.dataset.prompt_ids(problem)) for problem in self.problems]
        self._longest = max(length + len(one.tokens) for length, one in zip(lengths, whole, strict=True))
        if temperature == 0:
            self._thoughts = {
                problem.question: thought.tolist() for problem, (thought, _) in zip(self.problems, parts, strict=True)
            }
            self._details = [self._detail(one, thought) for one, (thought, _) in zip(whole, parts, strict=True)]
        return [self._answer(one, answer) for one, (_, answer) in zip(whole, parts, strict=True)]

    def _answer(self, whole: Completion, answer: Tensor) -> Completion:
        end = len(answer) - (whole.ended == "stop")
        text = self.dataset.tokenizer.decode(answer[:end].numpy())
        values = whole.log_probabilities[len(whole.tokens) - len(answer) :]
        return replace(whole, tokens=answer, log_probabilities=values, text=text)

    def _detail(self, whole: Completion, thought: Tensor) -> dict[str, Any]:
        details = dict(whole.details)
        used = details.pop("think_tokens_used", len(thought))
        return {
            "thought": self.dataset.tokenizer.decode(thought.numpy()),
            "think_tokens_used": used,
            "forced": details.pop("forced", False),
            "cap_confidence": details.pop("confidence", None),
            **details,
        }

    def details(self, index: int) -> dict[str, Any]:
        """The thought of a problem, and what the model had decided."""
        return self._details[index]

    def item(self, problem: Problem, answer: Sequence[int]) -> Item:
        """A problem with the model's own thought, and some tokens as its answer."""
        prompt = self.dataset.prompt_ids(problem).tolist()
        room = max(0, self._longest - len(prompt) - 1 - len(answer))
        before = [*prompt, *self._thoughts[problem.question][:room], self.tags.close]
        ids = torch.tensor([*before, *answer])
        labels = torch.tensor([*[IGNORE] * len(before), *answer])
        return {"input_ids": ids, "labels": labels, "metadata": {}}


def _mean(values: Any) -> float:
    return float(np.mean([float(value) for value in values]))

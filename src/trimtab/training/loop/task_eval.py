"""Task evaluation: generates answers to validation problems, scores them, and compares probabilities with the true ones."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from trimtab.config import TaskEvalConfig
from trimtab.data import IGNORE, Batch, DataBundle, Item, collate
from trimtab.data.tasks import Problem, ProblemDataset, Task, final_answer
from trimtab.evaluation.calibration import CalibrationReport, agreement, calibration_report
from trimtab.generation import Completion, complete
from trimtab.training.loop.task_eval_options import OptionLogs, confidences, distances, drawn, expected_loss, shares

Forward = Callable[[Batch], tuple[Tensor, Tensor, Mapping[str, Any]]]
"""From a batch to logits, aligned labels and metadata."""


@dataclass(frozen=True)
class TaskEvalResult:
    """The figures of a task evaluation, and one row per problem with its prompt, answers and confidence."""

    figures: dict[str, Any]
    predictions: list[dict[str, Any]]


class TaskEvaluator:
    """Generates and scores a model's answers to a fixed selection of a task's validation problems.

    The figures:

    - The means of the scores of the task's verifier, `exact_match` first.
    - `answer_loss`: −log p of the right answer with its end token, in nats per answer. Where the exact distribution of answers is
      known, the mean over that distribution.
    - `confidence`: the probability of the generated answer with its end token; `calibration` is the calibration of it.
    - `truth`: the distance between the model's distribution over the options and the exact one, for tasks that know it.
    - `option_mass`: the probability of all options together, for problems with options.
    - `agreement`: the share of further answers that agree with the most frequent one, with `samples`.

    If the model's probabilities are not finite, all of these are NaN.

    An answer is right where `exact_match` is 1. Where the exact distribution is known, there is no single right answer: one
    outcome is drawn from the distribution, the same for every model, and an answer is right if it names that outcome. So a model
    that knows the exact distribution, and answers with the likeliest of three options, of probability .4, is right in .4 of
    such problems.
    """

    def __init__(self, data: DataBundle, config: TaskEvalConfig, batch_size: int) -> None:
        assert isinstance(data.validation, ProblemDataset) and data.task is not None
        self.task: Task = data.task
        self.dataset = data.validation
        self.config, self.batch_size = config, batch_size
        total = len(self.dataset)
        count = min(config.problems, total)
        self.items = [number * total // count for number in range(count)]
        self.problems = [self.dataset.problems[item] for item in self.items]
        self.outcomes = drawn(self.problems)

    @property
    def truth_is_known(self) -> bool:
        """Whether the exact distribution of answers is known for some of the problems."""
        return any(problem.option_probabilities for problem in self.problems)

    def __call__(self, model: nn.Module, forward: Forward, generator: torch.Generator) -> TaskEvalResult:
        """Evaluate a model that is in evaluation mode. Only the further answers are drawn at random, from `generator`."""
        completions = self.answers(model, generator, temperature=0.0)
        responses = [completion.text or "" for completion in completions]
        scores = [self.task.score(problem, text) for problem, text in zip(self.problems, responses, strict=True)]
        correct = [score["exact_match"] >= 1.0 for score in scores]
        hits = [self._hit(index, text) for index, text in enumerate(responses)]
        confidence = confidences([one.log_probabilities.double().cpu().numpy() for one in completions])
        options = self._options(forward)
        answer_loss = self._answer_loss(forward, options)
        figures: dict[str, Any] = {
            name: float(np.mean([score[name] for score in scores])) for name in self.task.metrics
        }
        figures |= {
            "problems": len(self.problems),
            "answer_loss": float(answer_loss.mean()),
            "confidence": float(confidence.mean()),
        }
        right = [one if hit is None else hit for one, hit in zip(correct, hits, strict=True)]
        known = bool(np.isfinite(confidence).all())
        report = calibration_report(confidence, right, seed=0) if known else CalibrationReport.unknown(len(right))
        figures["calibration"] = report.as_dict()
        figures |= distances(self.problems, options)
        agreed: list[float] | None = None
        if self.config.samples:
            agreed = self._agreement(model, generator)
            figures["agreement"] = float(np.mean(agreed))
        rows = [
            {
                "item": item,
                "level": problem.level,
                "prompt": problem.prompt,
                "answer": problem.truth,
                "response": responses[index],
                "correct": correct[index],
                "outcome": self.outcomes[index],
                "hit": hits[index],
                "confidence": float(confidence[index]),
                "answer_loss": float(answer_loss[index]),
                "agreement": None if agreed is None else agreed[index],
                "options": list(problem.options) or None,
                "option_probabilities": shares(options[index]).tolist() if problem.options else None,
                "true_probabilities": list(problem.option_probabilities) or None,
                **self.details(index),
            }
            for index, (item, problem) in enumerate(zip(self.items, self.problems, strict=True))
        ]
        return TaskEvalResult(figures, rows)

    def details(self, index: int) -> dict[str, Any]:
        """Further values for the row of a problem; a subclass may have some."""
        del index
        return {}

    def _hit(self, index: int, response: str) -> bool | None:
        """Whether a response names the drawn outcome; None for a problem without one."""
        problem, outcome = self.problems[index], self.outcomes[index]
        if outcome is None:
            return None
        return final_answer(self.task, problem, response) == final_answer(self.task, problem, outcome)

    def answers(self, model: nn.Module, generator: torch.Generator, temperature: float) -> list[Completion]:
        """An answer to each problem, without the end token."""
        return complete(
            model,
            [torch.from_numpy(self.dataset.prompt_ids(problem)) for problem in self.problems],
            self.config.tokens,
            generator=generator,
            temperature=temperature,
            stop=self.dataset.ends,
            decode=self.dataset.tokenizer.decode,
            decode_alone=True,  # as `ProblemDataset` encodes answers
            batch_size=self.batch_size,
        )

    def _agreement(self, model: nn.Module, generator: torch.Generator) -> list[float]:
        """For each problem, the share of drawn answers whose final answer is the most frequent one (Wang et al. 2022)."""
        drawn = [self.answers(model, generator, self.config.temperature) for _ in range(self.config.samples)]
        return [
            agreement([final_answer(self.task, problem, answer.text or "") for answer in answers], str).share
            for problem, answers in zip(self.problems, zip(*drawn, strict=True), strict=True)
        ]

    def _options(self, forward: Forward) -> list[OptionLogs]:
        """log p of each option of each problem; an empty array where a problem has none."""
        pairs = [
            (problem, self.dataset.answer_ids(option).tolist())
            for problem in self.problems
            for option in problem.options
        ]
        ends = np.cumsum([len(problem.options) for problem in self.problems])
        return np.split(self._log_probabilities(forward, pairs), ends[:-1])

    def _answer_loss(self, forward: Forward, options: Sequence[OptionLogs]) -> Float64[np.ndarray, " problems"]:
        """−log p of the answer of each problem, in nats: a proper score also where the answer is random."""
        losses = np.array([expected_loss(*one) for one in zip(self.problems, options, strict=True)])
        certain = [index for index, problem in enumerate(self.problems) if not problem.option_probabilities]
        problems = [self.problems[index] for index in certain]
        pairs = [(problem, self.dataset.answer_ids(problem.truth).tolist()) for problem in problems]
        losses[certain] = -self._log_probabilities(forward, pairs)
        return losses

    @torch.no_grad()
    def _log_probabilities(
        self, forward: Forward, pairs: Sequence[tuple[Problem, Sequence[int]]]
    ) -> Float64[np.ndarray, " pairs"]:
        """log p(answer tokens | prompt) of each pair, in nats."""
        sums = np.full(len(pairs), math.nan)
        items = [self.item(problem, answer) for problem, answer in pairs]
        for chosen in _batches([len(item["input_ids"]) for item in items], self.batch_size):
            logits, labels, _ = forward(collate([items[index] for index in chosen]))
            label_mask = labels != IGNORE
            log_p = torch.zeros(labels.shape, dtype=torch.float64, device=labels.device)
            rows = logits[label_mask].float()
            picked = rows.gather(-1, labels[label_mask][:, None])[:, 0]
            log_p[label_mask] = (picked - rows.logsumexp(-1)).double()
            sums[chosen] = log_p.sum(-1).cpu().numpy()
        return sums

    def item(self, problem: Problem, answer: Sequence[int]) -> Item:
        """A problem with some tokens as its answer, which alone have labels."""
        prompt = torch.from_numpy(self.dataset.prompt_ids(problem))
        ids = torch.cat([prompt, torch.tensor(answer, dtype=torch.int64)])
        labels = ids.clone()
        labels[: len(prompt)] = IGNORE
        return {"input_ids": ids, "labels": labels, "metadata": {}}


def _batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices in batches of at most `size`, of similar lengths, so that there is little padding."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    return [order[start : start + size] for start in range(0, len(order), size)]

"""What a model knows of a task: answers generated for validation problems, scored, and compared with what is true."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from trimtab.config import ExamConfig
from trimtab.data import IGNORE, Batch, DataBundle, Item, collate
from trimtab.data.tasks import Problem, ProblemDataset, Task
from trimtab.evaluation.calibration import agreement, calibration_report, distribution_report
from trimtab.models import Completion, complete

Forward = Callable[[Batch], tuple[Tensor, Tensor, Mapping[str, Any]]]
"""From a batch to logits, aligned labels and metadata."""


@dataclass(frozen=True)
class Findings:
    """An exam's figures, and a row a problem: what was asked, said and right, and with what probability."""

    figures: dict[str, Any]
    predictions: list[dict[str, Any]]


class Exam:
    """Asks a fixed choice of a task's validation problems.

    `figures` of an exam: the means of what the task's verifier gives (`exact_match` first), `answer_loss` (−log p of the right
    answer with its end, in nats an answer), `confidence` (the probability of the generated answer, its end included) and
    `calibration` of that confidence against `exact_match`; where the task knows the exact distribution of answers,
    `truth` (divergence of the model's distribution over the options from it); `agreement`, with `samples`.
    """

    def __init__(self, data: DataBundle, config: ExamConfig, batch_size: int) -> None:
        assert isinstance(data.validation, ProblemDataset) and data.task is not None
        self.task: Task = data.task
        self.dataset = data.validation
        self.config, self.batch_size = config, batch_size
        total = len(self.dataset)
        count = min(config.problems, total)
        self.items = [number * total // count for number in range(count)]
        self.problems = [self.dataset.problems[item] for item in self.items]

    def __call__(self, model: nn.Module, forward: Forward, generator: torch.Generator) -> Findings:
        """Hold the exam with a model in evaluation mode; `generator` draws the further answers, and nothing else is drawn."""
        said = self._answers(model, generator, temperature=0.0)
        responses = [completion.text or "" for completion in said]
        scores = [self.task.score(problem, text) for problem, text in zip(self.problems, responses, strict=True)]
        correct = np.array([score["exact_match"] for score in scores]) >= 1.0
        confidence = np.array([float(completion.log_probabilities.double().sum().exp()) for completion in said])
        truths = [(problem, self.dataset.answer_ids(problem.truth).tolist()) for problem in self.problems]
        answer_loss = -self._log_probabilities(forward, truths)
        figures: dict[str, Any] = {
            name: float(np.mean([score[name] for score in scores])) for name in self.task.figures
        }
        figures |= {
            "problems": len(self.problems),
            "answer_loss": float(answer_loss.mean()),
            "confidence": float(confidence.mean()),
            "calibration": calibration_report(confidence, correct, seed=0).as_dict(),
        }
        options, of_options = self._options(forward)
        figures |= of_options
        agreement: list[float] | None = None
        if self.config.samples:
            agreement = self._agreement(model, generator)
            figures["agreement"] = float(np.mean(agreement))
        rows = [
            {
                "item": item,
                "level": problem.level,
                "prompt": problem.prompt,
                "answer": problem.truth,
                "response": responses[index],
                "correct": bool(correct[index]),
                "confidence": float(confidence[index]),
                "answer_loss": float(answer_loss[index]),
                "agreement": None if agreement is None else agreement[index],
                "options": list(problem.options) or None,
                "option_probabilities": options[index],
                "true_probabilities": list(problem.option_probabilities) or None,
            }
            for index, (item, problem) in enumerate(zip(self.items, self.problems, strict=True))
        ]
        return Findings(figures, rows)

    def _answers(self, model: nn.Module, generator: torch.Generator, temperature: float) -> list[Completion]:
        """An answer to each problem."""
        return complete(
            model,
            [torch.from_numpy(self.dataset.prompt_ids(problem)) for problem in self.problems],
            self.config.tokens,
            generator=generator,
            temperature=temperature,
            stop=(self.dataset.end,),
            decode=self.dataset.tokenizer.decode,
            batch_size=self.batch_size,
        )

    def _agreement(self, model: nn.Module, generator: torch.Generator) -> list[float]:
        """For each problem, the share of drawn answers that say what most of them say."""
        drawn = [self._answers(model, generator, self.config.temperature) for _ in range(self.config.samples)]
        return [agreement([said.text or "" for said in answers]).share for answers in zip(*drawn, strict=True)]

    def _options(self, forward: Forward) -> tuple[list[list[float] | None], dict[str, Any]]:
        """The model's distribution over each problem's options, and how far it is from the true one."""
        asked = [index for index, problem in enumerate(self.problems) if problem.options]
        found: list[list[float] | None] = [None] * len(self.problems)
        if not asked:
            return found, {}
        pairs = [
            (self.problems[index], self.dataset.answer_ids(option).tolist())
            for index in asked
            for option in self.problems[index].options
        ]
        log_p = iter(self._log_probabilities(forward, pairs))
        widest = max(len(self.problems[index].options) for index in asked)
        given, true, mass = np.zeros((len(asked), widest)), np.zeros((len(asked), widest)), []
        for row, index in enumerate(asked):
            problem = self.problems[index]
            values = np.array([next(log_p) for _ in problem.options])
            mass.append(float(np.exp(values).sum()))
            shares = np.exp(values - values.max())
            given[row, : len(values)] = shares / shares.sum()
            true[row, : len(values)] = problem.option_probabilities
            found[index] = given[row, : len(values)].tolist()
        report = distribution_report(given, true, seed=0).as_dict()
        return found, {"truth": report, "option_mass": float(np.mean(mass))}

    @torch.no_grad()
    def _log_probabilities(
        self, forward: Forward, pairs: Sequence[tuple[Problem, Sequence[int]]]
    ) -> Float64[np.ndarray, " pairs"]:
        """log p(answer tokens | prompt) of each pair, in nats."""
        found = np.full(len(pairs), math.nan)
        items = [self._item(problem, answer) for problem, answer in pairs]
        for chosen in _batches([len(item["input_ids"]) for item in items], self.batch_size):
            logits, labels, _ = forward(collate([items[index] for index in chosen]))
            asked = labels != IGNORE
            log_p = torch.zeros(labels.shape, dtype=torch.float64, device=labels.device)
            rows = logits[asked].float()
            picked = rows.gather(-1, labels[asked][:, None])[:, 0]
            log_p[asked] = (picked - rows.logsumexp(-1)).double()
            found[chosen] = log_p.sum(-1).cpu().numpy()
        return found

    def _item(self, problem: Problem, answer: Sequence[int]) -> Item:
        prompt = torch.from_numpy(self.dataset.prompt_ids(problem))
        ids = torch.cat([prompt, torch.tensor(answer, dtype=torch.int64)])
        labels = ids.clone()
        labels[: len(prompt)] = IGNORE
        return {"input_ids": ids, "labels": labels, "metadata": {}}


def _batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Indices in batches of at most `size`, alike in length, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    return [order[start : start + size] for start in range(0, len(order), size)]

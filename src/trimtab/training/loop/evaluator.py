"""Evaluation during a run, which changes nothing that training depends on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from trimtab.data import ValidationSource
from trimtab.evaluation.evaluate import evaluate
from trimtab.losses import CrossEntropy, LossModule
from trimtab.training.loop.passes import Passes
from trimtab.training.loop.task_eval import TaskEvalResult, TaskEvaluator

Sampler = Callable[[nn.Module, torch.Generator], Mapping[str, Any]]
"""Generates a sample with a model in evaluation mode. Returns prompt, text and figures for the records."""


class Evaluator:
    """Computes figures, samples and task evaluations of one model; no samples or task evaluations without their component."""

    def __init__(self, passes: Passes, sampler: Sampler | None, task_eval: TaskEvaluator | None) -> None:
        self.passes, self.sampler, self.task_eval = passes, sampler, task_eval

    @property
    def objective(self) -> LossModule | None:
        """The loss that is trained on, unless it is the plain cross-entropy."""
        loss = self.passes.loss_fn
        return None if type(loss) is CrossEntropy else loss

    def figures(self, source: ValidationSource, precision: str, step: int, attempt: int) -> dict[str, Any]:
        """The figures on the validation batches after `step` (see `evaluate`)."""
        with self._evaluating():
            batches = self.passes.validation_batches(source, step, attempt)
            return evaluate(
                lambda batch: self.passes.forward(batch, precision), CrossEntropy(), batches, self.objective
            )

    def sample(self, generator: torch.Generator) -> Mapping[str, Any] | None:
        """A sample with its figures; None without a sampler."""
        if self.sampler is None:
            return None
        with self._evaluating() as model:
            return self.sampler(model, generator)

    def evaluate_task(self, precision: str, generator: torch.Generator) -> TaskEvalResult | None:
        """The result of a task evaluation; None without one."""
        if self.task_eval is None:
            return None
        with self._evaluating() as model:
            return self.task_eval(model, lambda batch: self.passes.forward(batch, precision), generator)

    @contextmanager
    def _evaluating(self) -> Iterator[nn.Module]:
        model = self.passes.model
        model.eval()
        try:
            yield model
        finally:
            model.train()

"""The view of a run that an instrument receives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from trimtab.data import Batch, BatchSource
from trimtab.regimes.instruments.hessian import Gradient, Loss, gradient_of
from trimtab.runtime.logger import MemoryLogger
from trimtab.training.loop.excursion import Continuations, Loop


@dataclass(frozen=True)
class Update:
    """The change of each parameter in a step, and the learning rate, which is 0 if the step would be skipped."""

    change: list[Tensor]
    lr: float


class Probe:
    """A run's trainer, for an instrument. It is used in an excursion, so every change to the trainer is undone afterwards.

    `parameters` are the trainable ones; `generator` depends on the instrument and the step.
    """

    def __init__(self, trainer: Loop, loader: BatchSource, generator: torch.Generator, log: MemoryLogger) -> None:
        self.trainer, self.loader, self.generator = trainer, loader, generator
        self.parameters: list[Tensor] = list(trainer.updater.parameters.values())
        self._log = log

    def first_sequences(self, count: int) -> list[Batch]:
        """The first `count` training sequences of the run, the same at every step, in batches of the episode's size."""
        return self._batches(0, count, self.trainer.state.episode.batch_size)

    def next_sequences(self, count: int, size: int) -> list[Batch]:
        """The `count` sequences that the run will draw next, in batches of `size`. The data cursor does not move."""
        return self._batches(self.trainer.state.cursor, count, size)

    def _batches(self, position: int, count: int, size: int) -> list[Batch]:
        state, batches = self.trainer.state, []
        for index, done in enumerate(range(0, count, size)):
            place = self.trainer.passes.draw_state("training", state.step + 1, state.attempt, index)
            batches.append(self.loader.take(position + done, min(size, count - done), state.episode.data_mix, place))
        return batches

    def loss(self, batches: Sequence[Batch]) -> Loss:
        """A function that returns the mean loss over batches at the current parameters, without dropout and without a graph."""

        def mean() -> Tensor:
            with torch.no_grad(), self._evaluating():
                parts = [self._weighted(batch) for batch in batches]
            return torch.stack([part for part, _ in parts]).sum() / sum(weight for _, weight in parts)

        return mean

    def gradient(self, batches: Sequence[Batch]) -> Gradient:
        """A function that returns the gradient of `loss(batches)` at the current parameters, computed one batch at a time."""

        def mean() -> list[Tensor]:
            total, weights = [torch.zeros_like(parameter) for parameter in self.parameters], 0.0
            for batch in batches:
                with self._evaluating():
                    part, weight = self._weighted(batch)
                    slopes = gradient_of(lambda part=part: part, self.parameters)()  # type: ignore[misc]
                torch._foreach_add_(total, list(slopes))
                weights += weight
            torch._foreach_div_(total, weights)
            return total

        return mean

    def _weighted(self, batch: Batch) -> tuple[Tensor, float]:
        passes = self.trainer.passes
        output = passes.loss_fn(*passes.forward(batch, "fp32"))
        return output["loss"] * output["weight"], float(output["weight"])

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        model = self.trainer.state.model
        model.eval()
        try:
            yield
        finally:
            model.train()

    def next_update(self) -> Update:
        """The update of the next step, with its own batch, dropout, clipping and learning rate."""
        futures = self.futures()
        before = [parameter.detach().clone() for parameter in self.parameters]
        futures.step(futures.start)
        row = self._log.steps[-1]
        change = [parameter.detach() - origin for parameter, origin in zip(self.parameters, before, strict=True)]
        self.trainer.state.restore(futures.start)
        return Update(change, 0.0 if row["skipped"] else float(row["lr"]))

    def next_loss(self) -> Loss:
        """A function that returns the next step's loss at the current parameters, on its batch and dropout, without a graph."""
        trainer, state = self.trainer, self.trainer.state
        faults = trainer.faults.active(state.draws + 1, state.streams)

        def mean() -> Tensor:
            total, weights = torch.zeros((), device=trainer.passes.device), 0.0
            place = (state.cursor, state.episode, state.step + 1, state.attempt, faults)
            with torch.no_grad():
                for output, _ in trainer.passes.outputs(self.loader, *place):
                    total = total + output["loss"] * output["weight"]
                    weights += float(output["weight"])
            return total / weights

        return mean

    def futures(self) -> Continuations:
        """Continues the run from here, and from other states (see `Continuations`)."""
        return Continuations(self.trainer, self.loader)

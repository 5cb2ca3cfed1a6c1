"""What an instrument may ask of a run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from trimtab.data import Batch, BatchSource
from trimtab.regimes.instruments.hessian import Gradient, Loss, gradient_of
from trimtab.runtime.logger import MemoryLogger
from trimtab.training.loop.excursion import Futures, Loop


@dataclass(frozen=True)
class Update:
    """The change of each parameter that a step would make, and the learning rate of that step (0: it would be skipped)."""

    change: list[Tensor]
    lr: float


class Probe:
    """A run's trainer as an instrument sees it, in an excursion: whatever it does to the trainer is taken back.

    `parameters` are the trainable ones; `generator` is placed at the instrument and the step.
    """

    def __init__(self, trainer: Loop, loader: BatchSource, generator: torch.Generator, aside: MemoryLogger) -> None:
        self.trainer, self.loader, self.generator = trainer, loader, generator
        self.parameters: list[Tensor] = list(trainer.updater.parameters.values())
        self._aside = aside

    def first_sequences(self, count: int) -> list[Batch]:
        """The first `count` training sequences of the run, which are the same at every step, cut to the episode's batches."""
        return self._cut(0, count, self.trainer.state.episode.batch_size)

    def next_sequences(self, count: int, size: int) -> list[Batch]:
        """The `count` sequences that the run will draw next, in batches of `size`; the data cursor stays."""
        return self._cut(self.trainer.state.cursor, count, size)

    def _cut(self, position: int, count: int, size: int) -> list[Batch]:
        state, batches = self.trainer.state, []
        for index, done in enumerate(range(0, count, size)):
            place = self.trainer.passes.draw_state("training", state.step + 1, state.attempt, index)
            batches.append(self.loader.take(position + done, min(size, count - done), state.episode.data_mix, place))
        return batches

    def loss(self, batches: Sequence[Batch]) -> Loss:
        """The mean loss over batches, without dropout and without a graph, as a function of the parameters."""

        def mean() -> Tensor:
            with torch.no_grad(), self._evaluating():
                parts = [self._weighted(batch) for batch in batches]
            return torch.stack([part for part, _ in parts]).sum() / sum(weight for _, weight in parts)

        return mean

    def gradient(self, batches: Sequence[Batch]) -> Gradient:
        """The gradient of `loss(batches)` as a function of the parameters, one batch at a time."""

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
        """The update that the next step would make: its own batch, dropout, clipping and learning rate."""
        futures = self.futures()
        before = [parameter.detach().clone() for parameter in self.parameters]
        futures.step(futures.begin)
        row = self._aside.steps[-1]
        change = [parameter.detach() - origin for parameter, origin in zip(self.parameters, before, strict=True)]
        self.trainer.state.restore(futures.begin)
        return Update(change, 0.0 if row["skipped"] else float(row["lr"]))

    def next_loss(self) -> Loss:
        """The loss that the next step's update is made for, with that step's batch and dropout, without a graph."""
        trainer, state = self.trainer, self.trainer.state
        faults = trainer.faults.striking(state.draws + 1, state.streams)

        def mean() -> Tensor:
            total, weights = torch.zeros((), device=trainer.passes.device), 0.0
            place = (state.cursor, state.episode, state.step + 1, state.attempt, faults)
            with torch.no_grad():
                for output, _ in trainer.passes.outputs(self.loader, *place):
                    total = total + output["loss"] * output["weight"]
                    weights += float(output["weight"])
            return total / weights

        return mean

    def futures(self) -> Futures:
        """How the run could go on from here, and from states beside it."""
        return Futures(self.trainer, self.loader)

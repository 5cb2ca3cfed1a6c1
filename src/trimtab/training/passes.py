"""Forward and backward passes: from batches to logits, and from a step's micro-batches to one gradient."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from trimtab.config import DataMix, EpisodeConfig
from trimtab.config.registry import accepts
from trimtab.data import IGNORE, Batch
from trimtab.losses import LossModule, LossOutput
from trimtab.random import Streams, derive_seed, global_stream
from trimtab.training.device import autocast
from trimtab.training.faults import Striking
from trimtab.training.hooks import HookSet


class TrainLoader(Protocol):
    """Training batches by position, so that the data cursor is one number."""

    def take(self, position: int, count: int, mix: DataMix | None = None) -> Batch:
        """The sequences `position` to `position + count` of the run's endless stream, drawn by difficulty with a `mix`."""
        ...


@dataclass(frozen=True)
class Accumulated:
    """What a step's passes gave: the loss over all of their weight, how many targets were asked, the loss's other figures."""

    loss: float
    targets: int
    aux: dict[str, float]


class Passes:
    """The passes of one model under one loss."""

    def __init__(self, model: nn.Module, loss_fn: LossModule, hooks: HookSet, streams: Streams) -> None:
        self.model, self.loss_fn, self.hooks, self.streams = model, loss_fn, hooks, streams
        self.device = next(model.parameters()).device
        self._dropout = torch.Generator(self.device)
        self._takes_generator = accepts(model.forward, "generator")

    def backward(
        self,
        loader: TrainLoader,
        cursor: int,
        episode: EpisodeConfig,
        step: int,
        attempt: int,
        faults: Striking | None = None,
    ) -> Accumulated:
        """Accumulate the gradient over a step's micro-batches: the mean over all of their weight, divided once."""
        total = torch.zeros((), dtype=torch.float64)
        weights = torch.zeros((), dtype=torch.float64)
        targets = 0
        aux: dict[str, float] = {}
        for output, asked in self.outputs(loader, cursor, episode, step, attempt, faults):
            loss, weight = output["loss"], output["weight"]
            (loss if episode.accumulation == 1 else loss * weight).backward()  # type: ignore[no-untyped-call]
            total += (loss.detach().double() * weight.detach().double()).cpu()
            weights += weight.detach().double().cpu()
            targets += asked
            for name, value in output["aux"].items():
                aux[name] = aux.get(name, 0.0) + value * float(weight)
        divisor = float(weights) or 1.0  # a step that asks for nothing has the loss 0
        if episode.accumulation > 1:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, 1.0 / divisor)
        return Accumulated(float(total) / divisor, targets, {name: value / divisor for name, value in aux.items()})

    def outputs(
        self,
        loader: TrainLoader,
        cursor: int,
        episode: EpisodeConfig,
        step: int,
        attempt: int,
        faults: Striking | None = None,
    ) -> Iterator[tuple[LossOutput, int]]:
        """The loss of each micro-batch of a step, under the step's own dropout, and how many targets it asked."""
        for index in range(episode.accumulation):
            position = cursor + index * episode.batch_size
            if episode.data_mix is None:
                batch = loader.take(position, episode.batch_size)
            else:
                batch = loader.take(position, episode.batch_size, episode.data_mix)
            if faults is not None:
                batch = faults.batch(batch, index)
            place = (step, attempt, index, *((episode.dropout_draw,) if episode.dropout_draw else ()))
            self._dropout.manual_seed(derive_seed(self.streams.seed, "dropout", *place))
            with self.hooks.observing(self.model, step) if index == 0 else nullcontext():
                logits, labels, metadata = self.forward(batch, episode.precision, self._dropout)
            yield self.loss_fn(logits, labels, metadata), int((labels != IGNORE).sum())

    def forward(
        self, batch: Batch, precision: str, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Mapping[str, Any]]:
        """Logits, the labels aligned with them (the one place where labels are shifted), and the metadata.

        `generator` gives the dropout masks; without one a model in evaluation mode is expected.
        """
        inputs = batch.input_ids[:, :-1].to(self.device)
        labels = batch.labels[:, 1:].to(self.device)
        mask = None if batch.attention_mask is None else batch.attention_mask[:, :-1].to(self.device)
        with autocast(self.model, self.device.type, precision):
            if self._takes_generator:
                logits = self.model(inputs, mask, generator=generator)
            elif generator is not None:
                with global_stream(torch.Generator().manual_seed(generator.initial_seed())):
                    logits = self.model(inputs, mask)
            else:
                logits = self.model(inputs, mask)
        return logits, labels, batch.metadata

"""Forward and backward passes: from batches to logits, and from a step's micro-batches to one gradient."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trimtab.config import EpisodeConfig
from trimtab.config.registry import accepts
from trimtab.data import IGNORE, Batch, BatchSource, DrawState, ValidationSource
from trimtab.data.batch import NextToken, Purpose
from trimtab.evaluation.evaluate import WeightedMean
from trimtab.losses import LossModule, LossOutput
from trimtab.models import has_outputs, logits_of, reads_last_token
from trimtab.random import Streams, derive_seed, global_stream
from trimtab.runtime.device import autocast
from trimtab.training.loop.faults import ActiveFaults
from trimtab.training.loop.hooks import HookSet


@dataclass(frozen=True)
class Accumulated:
    """The result of a step's passes: the mean loss over `weight` (0 where that is 0), the number of targets, the loss's `aux`."""

    loss: float
    weight: float
    targets: int
    aux: dict[str, float]
    occurrences: list[dict[str, Any]] = field(default_factory=list)
    """What the source of the batches reports (see `Batch`)."""


class MonitoredLoss:
    """A loss that is measured on the logits of a step and not trained on."""

    def __init__(self, loss_fn: LossModule) -> None:
        self.loss_fn, self.mean = loss_fn, WeightedMean()

    @torch.no_grad()
    def measure(self, logits: Tensor, labels: Tensor, metadata: Mapping[str, Any]) -> None:
        """Take in a micro-batch."""
        self.mean.add(self.loss_fn(logits.detach(), labels, metadata))


class Passes:
    """The passes of one model under one loss."""

    def __init__(self, model: nn.Module, loss_fn: LossModule, hooks: HookSet, streams: Streams) -> None:
        self.model, self.loss_fn, self.hooks, self.streams = model, loss_fn, hooks, streams
        self.device = next(model.parameters()).device
        self._dropout = torch.Generator(self.device)
        self._takes_generator = accepts(model.forward, "generator")
        self._has_outputs, self._keeps_last = has_outputs(model), reads_last_token(model)
        self._figures = getattr(model, "batch_figures", None)

    def backward(
        self,
        source: BatchSource,
        cursor: int,
        episode: EpisodeConfig,
        step: int,
        attempt: int,
        faults: ActiveFaults | None = None,
        monitored: MonitoredLoss | None = None,
    ) -> Accumulated:
        """Accumulate the gradient over a step's micro-batches: the mean over all of their weight, divided once.

        `monitored` is another loss, measured on the same logits.
        """
        mean, targets = WeightedMean(), 0
        aux: dict[str, float] = {}
        drawn: list[Batch] = []
        for output, count in self.outputs(source, cursor, episode, step, attempt, faults, monitored, drawn):
            loss, weight = output["loss"], output["weight"]
            (loss if episode.accumulation == 1 else loss * weight).backward()  # type: ignore[no-untyped-call]
            mean.add(output)
            targets += count
            for name, value in output["aux"].items():
                aux[name] = aux.get(name, 0.0) + value * float(weight)
        divisor = mean.weight or 1.0  # a step without targets has loss 0
        if episode.accumulation > 1:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, 1.0 / divisor)
        figures = {name: value / divisor for name, value in aux.items()} | _data_figures(drawn)
        occurrences = [one for batch in drawn for one in batch.metadata.get("occurrences", ())]
        return Accumulated(mean.value(0.0), mean.weight, targets, figures, occurrences)

    def outputs(
        self,
        source: BatchSource,
        cursor: int,
        episode: EpisodeConfig,
        step: int,
        attempt: int,
        faults: ActiveFaults | None = None,
        monitored: MonitoredLoss | None = None,
        drawn: list[Batch] | None = None,
    ) -> Iterator[tuple[LossOutput, int]]:
        """The loss of each micro-batch of a step, under the step's own dropout, and how many targets it has.

        The micro-batches are appended to `drawn`.
        """
        batches = [] if drawn is None else drawn
        for index in range(episode.accumulation):
            position, state = cursor + index * episode.batch_size, self.draw_state("training", step, attempt, index)
            batch = source.take(position, episode.batch_size, episode.data_mix, state)
            batches.append(batch if faults is None else faults.batch(batch, index))
        known = {"step": step, "steps": episode.steps} | self._of_the_step(batches)
        for index, batch in enumerate(batches):
            place = (step, attempt, index, *((episode.dropout_draw,) if episode.dropout_draw else ()))
            self._dropout.manual_seed(derive_seed(self.streams.seed, "dropout", *place))
            with self.hooks.observing(self.model, step) if index == 0 else nullcontext():
                logits, labels, metadata = self.forward(batch, episode.precision, self._dropout)
            if monitored is not None:
                monitored.measure(logits, labels, metadata)
            output = self.loss_fn(logits, labels, {**metadata, **known})
            if self._figures is not None:
                figures = self._figures(metadata["outputs"], metadata)
                output["aux"] = {**output["aux"], **{f"model.{name}": value for name, value in figures.items()}}
            yield output, int((labels != IGNORE).sum())

    def draw_state(self, purpose: Purpose, step: int, attempt: int, index: int) -> DrawState:
        """What a source may read when it makes the batch `index` of a step."""
        return DrawState(self.model, self.streams, purpose, step, attempt, index)

    def validation_batches(self, source: ValidationSource, step: int, attempt: int) -> Iterator[Batch]:
        """All batches of a validation source, after `step`."""
        for index, position in enumerate(range(0, source.samples, source.batch_size)):
            state = self.draw_state("validation", step, attempt, index)
            yield source.take(position, source.batch_size, None, state)

    def _of_the_step(self, batches: list[Batch]) -> dict[str, Any]:
        """What a loss of several terms needs to know of all of a step's micro-batches, to divide each term once."""
        if len(batches) == 1 or not hasattr(self.loss_fn, "denominators"):
            return {}
        each = [self.loss_fn.denominators(*self._labels(batch, batch.shifted())) for batch in batches]
        return {"denominators": torch.stack(each).sum(0), "micro_batches": len(batches)}

    def _labels(self, batch: Batch, shifted: NextToken) -> tuple[Tensor, dict[str, Any]]:
        """Labels and metadata on the model's device, aligned with the logits."""
        aligned = {name: tensor.to(self.device) for name, tensor in shifted.aligned.items()}
        return shifted.labels.to(self.device), {**batch.metadata, **aligned}

    def forward(
        self, batch: Batch, precision: str, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Mapping[str, Any]]:
        """Logits, the labels aligned with them, and the metadata, with the activations that a hook collects.

        A model with further outputs (`ModelOutput`) reads the last token too, which no label follows, unless it needs none there
        (see `reads_last_token`): its outputs are in the metadata with one entry more than the logits, and the attention mask is
        there too. `generator` gives the dropout masks; without one a model in evaluation mode is expected.
        """
        shifted = batch.shifted(keep_last=self._keeps_last)
        labels, metadata = self._labels(batch, shifted)
        inputs = shifted.input_ids.to(self.device)
        mask = None if shifted.attention_mask is None else shifted.attention_mask.to(self.device)
        with autocast(self.model, self.device.type, precision), self.hooks.collecting(self.model) as activations:
            if self._takes_generator:
                result = self.model(inputs, mask, generator=generator)
            elif generator is not None:
                with global_stream(torch.Generator().manual_seed(generator.initial_seed())):
                    result = self.model(inputs, mask)
            else:
                result = self.model(inputs, mask)
        logits = logits_of(result)
        if self._has_outputs:
            logits = logits[:, : labels.shape[1]]
            metadata |= {"outputs": result.outputs, "attention_mask": mask}
        if activations:
            metadata["activations"] = activations
        return logits, labels, metadata


def _data_figures(batches: Sequence[Batch]) -> dict[str, float]:
    """The figures of a step's micro-batches, each the largest of them."""
    each = [batch.metadata.get("figures", {}) for batch in batches]
    names = dict.fromkeys(name for figures in each for name in figures)
    return {f"data.{name}": max(figures[name] for figures in each if name in figures) for name in names}

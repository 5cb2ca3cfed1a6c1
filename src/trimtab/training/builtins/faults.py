"""The built-in faults."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from trimtab.data import IGNORE, Batch
from trimtab.training.builtins.gradients import add_noise
from trimtab.training.loop.faults import Fault

Steps = Annotated[
    list[Annotated[int, Field(ge=1)]], Field(min_length=1, description="the data steps at which the fault acts")
]
Start = Annotated[int, Field(ge=1, description="the first data step at which the fault acts")]
Length = Annotated[int, Field(ge=1, description="data steps in a row")]


class RandomLabels(Fault):
    """Replaces every target of a batch by a token drawn uniformly."""

    def __init__(self, *, at: Steps, vocabulary: int) -> None:
        self.steps, self.vocabulary = at, vocabulary

    def batch(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The same inputs with random labels. `aligned` is dropped, because it describes the old labels."""
        drawn = torch.randint(self.vocabulary, batch.labels.shape, generator=generator)
        labels = torch.where(batch.labels == IGNORE, batch.labels, drawn)
        return Batch(batch.input_ids, labels, batch.attention_mask, batch.metadata)


class CorruptedData(Fault):
    """Shuffles the tokens of each window, for several steps in a row."""

    def __init__(self, *, start: Start, length: Length = 10) -> None:
        self.steps = range(start, start + length)

    def batch(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The tokens shuffled within each window, with their labels; padding stays where it is."""
        order = torch.rand(batch.input_ids.shape, generator=generator)
        if batch.attention_mask is not None:
            order = order.masked_fill(~batch.attention_mask, 2.0)  # after all tokens, in its own order
        order = order.argsort(dim=1, stable=True)
        rows = torch.arange(len(order))[:, None]
        return Batch(
            batch.input_ids[rows, order],
            batch.labels[rows, order],
            batch.attention_mask,
            batch.metadata,
            {name: tensor[rows, order] for name, tensor in batch.aligned.items()},
        )


class LearningRateJump(Fault):
    """Multiplies the learning rate by `factor` for several steps in a row."""

    def __init__(
        self,
        *,
        start: Start,
        length: Length = 10,
        factor: Annotated[float, Field(gt=0, description="the factor on the learning rate")] = 30.0,
    ) -> None:
        self.steps, self.factor = range(start, start + length), factor

    def lr_factor(self) -> float:
        """The factor."""
        return self.factor


class GradientNoise(Fault):
    """Adds Gaussian noise to each parameter's gradient, of `scale` times the gradient's norm."""

    def __init__(
        self,
        *,
        start: Start,
        length: Length = 10,
        scale: Annotated[float, Field(gt=0, description="noise norm over gradient norm")] = 10.0,
    ) -> None:
        self.steps, self.scale = range(start, start + length), scale

    def disturb(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Add the noise in place."""
        add_noise(gradients, self.scale, generator)

"""Adam over many candidates at once, each with its own step count."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015) without weight decay; `lr` in the units of a vector's entries."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.9)
    epsilon: float = 1e-8

    def update(
        self,
        vectors: Float[Tensor, "rows k d"],
        gradient: Float[Tensor, "rows k d"],
        first: Float[Tensor, "rows k d"],
        second: Float[Tensor, "rows k d"],
        steps: Int[Tensor, " rows"],
    ) -> None:
        """Move vectors and both moments in place; `steps` counts each row's updates, this one included.

        No product runs across rows, so a row's path does not depend on the others in the batch.
        """
        one, two = self.betas
        first.mul_(one).add_(gradient, alpha=1 - one)
        second.mul_(two).addcmul_(gradient, gradient, value=1 - two)
        count = steps.to(vectors.dtype)[:, None, None]
        step = first / (1 - torch.as_tensor(one, dtype=vectors.dtype) ** count)
        root = (second / (1 - torch.as_tensor(two, dtype=vectors.dtype) ** count)).sqrt_().add_(self.epsilon)
        vectors.sub_(step.div_(root), alpha=self.lr)

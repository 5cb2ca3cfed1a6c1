"""Adam over many candidates at once, each with its own step count."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015) without weight decay; `lr` is in the units of a vector's entries."""

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
        """Update vectors and both moments in place; `steps` counts each row's updates, this one included.

        Rows are independent: a row's updates do not depend on the others in the batch.
        """
        beta1, beta2 = self.betas
        first.mul_(beta1).add_(gradient, alpha=1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        count = steps.to(vectors.dtype)[:, None, None]
        step = first / (1 - torch.as_tensor(beta1, dtype=vectors.dtype) ** count)
        root = (second / (1 - torch.as_tensor(beta2, dtype=vectors.dtype) ** count)).sqrt_().add_(self.epsilon)
        vectors.sub_(step.div_(root), alpha=self.lr)

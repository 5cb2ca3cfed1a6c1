"""From gradients to new parameters: transforms, clipping, the update, and the guard that no non-finite value passes."""

import math

import torch
from torch import Tensor, nn

from trimtab.training.hooks import HookSet
from trimtab.training.optimizers import set_learning_rate


class Updater:
    """Applies one optimiser step to a model's trainable parameters."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, hooks: HookSet) -> None:
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = optimizer
        self.hooks = hooks
        self._tensors: list[Tensor] = list(self.parameters.values())
        self._before = [torch.empty_like(p) for p in self._tensors]

    def gradients(self) -> dict[str, Tensor]:
        """The gradients that there are, by parameter name."""
        return {name: p.grad for name, p in self.parameters.items() if p.grad is not None}

    def norm(self) -> float:
        """The global L2 norm of the gradient."""
        return _norm(list(self.gradients().values()))

    def clear(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def remember(self) -> None:
        """Keep the parameters as they are, to measure a change against and to take it back."""
        torch._foreach_copy_(self._before, self._tensors)

    @torch.no_grad()
    def change(self) -> float:
        """The L2 norm of the parameters' change since `remember`."""
        pairs = zip(self._tensors, self._before, strict=True)
        return float(torch.stack([torch.linalg.vector_norm(p - before) for p, before in pairs]).norm())

    @torch.no_grad()
    def apply(self, norm: float, clip: float | None, lr_factor: float, noise: torch.Generator) -> tuple[float, float]:
        """Make the update; returns the learning rate and the norm of the parameters' change.

        When a transform or the update itself makes something non-finite, the parameters are what they were before, by
        selection, and the returned norm is not finite.
        """
        lr = set_learning_rate(self.optimizer, lr_factor)
        gradients = self.gradients()
        if self.hooks.transform(gradients, noise):
            norm = _norm(list(gradients.values()))
            if not math.isfinite(norm):
                return lr, norm
        if clip is not None and norm > clip:
            torch._foreach_mul_(list(gradients.values()), clip / norm)
        self.remember()
        if (rule := self.hooks.rule) is not None:
            rule.update(self.parameters, lr, self.optimizer)
        else:
            self.optimizer.step()
        change = self.change()
        if not math.isfinite(change):
            torch._foreach_copy_(self._tensors, self._before)
        return lr, change


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm(tensors)) if tensors else 0.0

"""From gradients to new parameters: transforms, clipping, the update, and the check that it is finite."""

import math

import torch
from torch import Tensor, nn

from trimtab.regimes import UpdateSize
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.optimizer import set_learning_rate


class Updater:
    """Applies one optimiser step to a model's trainable parameters."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, hooks: HookSet) -> None:
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = optimizer
        self.hooks = hooks
        self._tensors: list[Tensor] = list(self.parameters.values())
        self._before = [torch.empty_like(p) for p in self._tensors]
        self._layers: dict[str, list[int]] = {}
        for index, name in enumerate(self.parameters):
            self._layers.setdefault(layer_of(name), []).append(index)

    def gradients(self) -> dict[str, Tensor]:
        """The gradients by parameter name, of the parameters that have one."""
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
        """Copy the parameters, so that a change can be measured and undone."""
        torch._foreach_copy_(self._before, self._tensors)

    @torch.no_grad()
    def change(self, *, layers: bool = False) -> UpdateSize:
        """The size of the change of the parameters since `remember`; with `layers` also of each layer."""
        changes = _norms([p - before for p, before in zip(self._tensors, self._before, strict=True)])
        sizes = _norms(self._before)
        change, size = math.hypot(*changes), math.hypot(*sizes)
        ratios: dict[str, float] = {}
        if layers and math.isfinite(change):
            for layer, members in self._layers.items():
                own = math.hypot(*(sizes[i] for i in members))
                ratios[layer] = math.hypot(*(changes[i] for i in members)) / own if own else math.nan
        return UpdateSize(change, change / size if size else math.nan, ratios)

    @torch.no_grad()
    def apply(
        self, norm: float, clip: float | None, lr_factor: float, noise: torch.Generator, *, layers: bool = False
    ) -> tuple[float, UpdateSize]:
        """Make the update. Returns the learning rate and the size of the update, with `layers` also of each layer.

        If a transform or the update makes a value non-finite, the parameters keep their old values, and the returned size is not
        finite.
        """
        lr = set_learning_rate(self.optimizer, lr_factor)
        gradients = self.gradients()
        if self.hooks.transform(gradients, noise):
            norm = _norm(list(gradients.values()))
            if not math.isfinite(norm):
                return lr, UpdateSize(norm)
        if clip is not None and norm > clip:
            torch._foreach_mul_(list(gradients.values()), clip / norm)
        self.remember()
        if (rule := self.hooks.rule) is not None:
            rule.update(self.parameters, lr, self.optimizer)
        else:
            self.optimizer.step()
        change = self.change(layers=layers)
        if not change.finite:
            torch._foreach_copy_(self._tensors, self._before)
        return lr, change


def layer_of(name: str) -> str:
    """The layer of a parameter: its name up to the first number (`blocks.3`), or else up to the first dot."""
    parts = name.split(".")
    numbered = [index for index, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbered[0] + 1]) if numbered else parts[0]


def _norms(tensors: list[Tensor]) -> list[float]:
    return [float(norm) for norm in torch.stack(torch._foreach_norm(tensors)).tolist()]


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm(tensors)) if tensors else 0.0

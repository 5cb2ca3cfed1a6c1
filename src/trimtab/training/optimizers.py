"""Optimisers: torch's own, with weight decay on matrices only (not on biases, norms and other vectors)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

NamedParameters = Iterable[tuple[str, nn.Parameter]]
LearningRate = Annotated[float, Field(gt=0, description="learning rate before the schedule's factor")]
WeightDecay = Annotated[float, Field(ge=0, description="decoupled weight decay, on matrices only")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="momentum")]
Beta = Annotated[float, Field(ge=0, lt=1)]


def adamw(
    *,
    parameters: NamedParameters,
    lr: LearningRate = 3e-4,
    weight_decay: WeightDecay = 0.1,
    betas: Annotated[tuple[Beta, Beta], Field(description="decay rates of the first and second moment")] = (0.9, 0.95),
    eps: Annotated[float, Field(gt=0, description="added to the root of the second moment")] = 1e-8,
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), torch's fused kernel."""
    return torch.optim.AdamW(_groups(parameters, weight_decay), lr=lr, betas=betas, eps=eps, fused=True)


def sgd(
    *,
    parameters: NamedParameters,
    lr: LearningRate = 0.1,
    weight_decay: WeightDecay = 0.0,
    momentum: Momentum = 0.9,
    nesterov: Annotated[bool, Field(description="Nesterov's momentum")] = False,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum (weight decay here is torch's: an L2 term in the gradient)."""
    groups = _groups(parameters, weight_decay)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)


def adafactor(
    *,
    parameters: NamedParameters,
    lr: LearningRate = 1e-2,
    weight_decay: WeightDecay = 0.0,
) -> torch.optim.Optimizer:
    """Adafactor (Shazeer & Stern 2018): factored second moments, relative step sizes capped at `lr`."""
    return torch.optim.Adafactor(_groups(parameters, weight_decay), lr=lr)


def muon(
    *,
    parameters: NamedParameters,
    lr: LearningRate = 0.02,
    weight_decay: WeightDecay = 0.1,
    momentum: Momentum = 0.95,
    adamw_lr: Annotated[float, Field(gt=0, description="learning rate of AdamW, which updates all the rest")] = 3e-4,
    betas: Annotated[tuple[Beta, Beta], Field(description="AdamW's decay rates")] = (0.9, 0.95),
) -> torch.optim.Optimizer:
    """Muon (Jordan 2024), torch's own, on the hidden layers' matrices; AdamW on embeddings, the head and vectors."""
    named = [(name, p) for name, p in parameters if p.requires_grad]
    hidden = [p for name, p in named if p.ndim == 2 and not any(part in name for part in ("embed", "head", "position"))]
    ids = {id(p) for p in hidden}
    rest = _groups([(name, p) for name, p in named if id(p) not in ids], weight_decay)
    parts: list[torch.optim.Optimizer] = []
    if hidden:
        parts.append(torch.optim.Muon(hidden, lr=lr, weight_decay=weight_decay, momentum=momentum))
    if rest:
        parts.append(torch.optim.AdamW(rest, lr=adamw_lr, betas=betas, fused=True))
    return Combined(parts)


class Combined(torch.optim.Optimizer):
    """Several optimisers, each for its own parameters, used as one; the schedule's factor reaches all of them."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts
        super().__init__([{"params": [p for g in part.param_groups for p in g["params"]]} for part in parts], {})
        self.param_groups = [group for part in parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every part; closures are not supported."""
        if closure is not None:
            raise ValueError("an optimiser made of parts takes no closure")
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of every part."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The parts' states, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set every part to what `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set every group's learning rate to its configured one × factor × its own multiplier.

    Returns the first group's, without the multiplier.
    """
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("configured_lr", group["lr"]) * factor * group.get("lr_multiplier", 1.0)
    return float(optimizer.param_groups[0]["configured_lr"] * factor)


def multiply_rates(
    optimizer: torch.optim.Optimizer, parameters: NamedParameters, multipliers: Mapping[str, float]
) -> None:
    """Give the parameters named in `multipliers` a multiple of the learning rate, in groups of their own."""
    rates = {id(p): multipliers[name] for name, p in parameters if name in multipliers}
    parts = optimizer.parts if isinstance(optimizer, Combined) else [optimizer]
    for part in parts:
        split = []
        for group in part.param_groups:
            for rate in dict.fromkeys(rates.get(id(p), 1.0) for p in group["params"]):
                members = [p for p in group["params"] if rates.get(id(p), 1.0) == rate]
                split.append({**group, "params": members, "lr_multiplier": rate})
        part.param_groups[:] = split
    if isinstance(optimizer, Combined):
        optimizer.param_groups = [group for part in parts for group in part.param_groups]


def _groups(parameters: NamedParameters, weight_decay: float) -> list[dict[str, Any]]:
    named = [(name, p) for name, p in parameters if p.requires_grad]
    groups = [
        {"params": [p for _, p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]

"""The built-in optimisers, with weight decay on matrices only (not on biases, norms and other vectors)."""

from typing import Annotated, Any

import torch
from pydantic import Field

from trimtab.training.builtins.updates import AdamW, Muon
from trimtab.training.loop.optimizer import Combined, NamedParameters

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
    return AdamW(_groups(parameters, weight_decay), lr=lr, betas=betas, eps=eps)


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
    """Muon (Jordan 2024) on the hidden layers' matrices; AdamW on embeddings, the head and vectors."""
    named = [(name, p) for name, p in parameters if p.requires_grad]
    hidden = [p for name, p in named if p.ndim == 2 and not any(part in name for part in ("embed", "head", "position"))]
    ids = {id(p) for p in hidden}
    rest = _groups([(name, p) for name, p in named if id(p) not in ids], weight_decay)
    parts: list[torch.optim.Optimizer] = []
    if hidden:
        parts.append(Muon(hidden, lr=lr, weight_decay=weight_decay, momentum=momentum))
    if rest:
        parts.append(AdamW(rest, lr=adamw_lr, betas=betas))
    return Combined(parts)


def _groups(parameters: NamedParameters, weight_decay: float) -> list[dict[str, Any]]:
    named = [(name, p) for name, p in parameters if p.requires_grad]
    groups = [
        {"params": [p for _, p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]

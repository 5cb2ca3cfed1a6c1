"""Helpers for any optimiser: several used as one, moments (the state without hyperparameters), learning rates."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from trimtab.config import RunError

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def _direct(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of torch's optimiser without the wrapper that keeps the compiler out, and imports it to do so."""
    return getattr(method, "__wrapped__", method)


class Direct(torch.optim.Optimizer):
    """torch's optimiser, not to be compiled: the first call of torch's own methods imports its compiler, a second or two that a
    short run does not have. A subclass brings its own `step`.
    """

    add_param_group = _direct(torch.optim.Optimizer.add_param_group)
    state_dict = _direct(torch.optim.Optimizer.state_dict)
    load_state_dict = _direct(torch.optim.Optimizer.load_state_dict)
    zero_grad = _direct(torch.optim.Optimizer.zero_grad)


class Combined(Direct):
    """Several optimisers, each for its own parameters, used as one; the schedule's factor applies to all of them."""

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
        """Set every part to what `state_dict` returned."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The moments, sharing the optimiser's tensors."""
    return _without_groups(optimizer.state_dict())


def load_moments(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Set the moments to saved ones and keep the hyperparameters. Raises `RunError` when the moments do not fit."""
    try:
        optimizer.load_state_dict(_merged(optimizer.state_dict(), saved))
    except (ValueError, KeyError) as error:
        raise RunError(f"The checkpoint's optimiser state does not fit this optimiser: {error}.") from error


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set the learning rate of every group to its configured rate × factor × the group's multiplier.

    Returns the first group's rate without the multiplier.
    """
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("configured_lr", group["lr"]) * factor * group.get("lr_multiplier", 1.0)
    return float(optimizer.param_groups[0]["configured_lr"] * factor)


def multiply_rates(
    optimizer: torch.optim.Optimizer, parameters: NamedParameters, multipliers: Mapping[str, float]
) -> None:
    """Multiply the learning rate of the parameters that `multipliers` names, in parameter groups of their own."""
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


def _without_groups(state: dict[str, Any]) -> dict[str, Any]:
    if "parts" in state:
        return {"parts": [_without_groups(part) for part in state["parts"]]}
    return {"state": state["state"]}


def _merged(current: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    if "parts" in current:
        return {"parts": [_merged(c, s) for c, s in zip(current["parts"], saved["parts"], strict=True)]}
    return {"state": saved["state"], "param_groups": current["param_groups"]}

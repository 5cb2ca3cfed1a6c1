"""Helpers for any optimiser: several used as one, moments (the state without hyperparameters), learning rates."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

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
    """The moments, sharing the optimiser's tensors.

    They are numbered in the order of the parameters that the optimiser was made with, which learning rates of their own do not
    change: a fork may have other ones.
    """
    if isinstance(optimizer, Combined):
        return {"parts": [moments(part) for part in optimizer.parts]}
    state = optimizer.state_dict()["state"]
    now = _numbers(optimizer)
    return {"state": {own: state[now[id(p)]] for own, p in enumerate(_made_with(optimizer)) if now[id(p)] in state}}


def load_moments(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Set the moments to saved ones and keep the hyperparameters. Raises `RunError` when the moments do not fit."""
    try:
        optimizer.load_state_dict(_merged(optimizer, saved))
    except (ValueError, KeyError, IndexError) as error:
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
        part.made_with = _made_with(part)  # type: ignore[attr-defined]
        split = []
        for group in part.param_groups:
            for rate in dict.fromkeys(rates.get(id(p), 1.0) for p in group["params"]):
                members = [p for p in group["params"] if rates.get(id(p), 1.0) == rate]
                split.append({**group, "params": members, "lr_multiplier": rate})
        part.param_groups[:] = split
    if isinstance(optimizer, Combined):
        optimizer.param_groups = [group for part in parts for group in part.param_groups]


def _merged(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    """A state as `load_state_dict` takes it: saved moments and the hyperparameters of now."""
    if isinstance(optimizer, Combined):
        return {"parts": [_merged(part, own) for part, own in zip(optimizer.parts, saved["parts"], strict=True)]}
    parameters, now = _made_with(optimizer), _numbers(optimizer)
    state = {}
    for own, values in saved["state"].items():
        parameter = parameters[own]
        for name, value in values.items():
            if name in _LIKE_PARAMETER and isinstance(value, Tensor) and value.shape != parameter.shape:
                raise ValueError(f"{name} number {own} is {tuple(value.shape)}, its parameter {tuple(parameter.shape)}")
        state[now[id(parameter)]] = values
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


_LIKE_PARAMETER = ("exp_avg", "exp_avg_sq", "momentum_buffer")
"""Moments that have the shape of their parameter. Kernels do not check it, and would write into foreign memory."""


def _made_with(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters in the order in which the optimiser was made with them."""
    own: list[Tensor] | None = getattr(optimizer, "made_with", None)
    return [p for group in optimizer.param_groups for p in group["params"]] if own is None else own


def _numbers(optimizer: torch.optim.Optimizer) -> dict[int, int]:
    """The number that torch gives each parameter now, by its identity."""
    return {id(p): number for number, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}

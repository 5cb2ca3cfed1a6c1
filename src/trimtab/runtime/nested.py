"""State for checkpoints: nested values as plain JSON plus named tensors, and the tensors of a model."""

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

_TENSOR = "__tensor__"
_NUMBER = "__number__"
_INTEGER_KEY = "#"


def split(value: Any, prefix: str) -> tuple[Any, dict[str, Tensor]]:
    """JSON in which each tensor is a reference, and the tensors by name, contiguous and on the CPU.

    Raises `TypeError` for what has no place in a checkpoint.
    """
    tensors: dict[str, Tensor] = {}
    return _split(value, prefix, tensors), tensors


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value.detach().to("cpu").contiguous()
        return {_TENSOR: path}
    if isinstance(value, dict):
        return {_key(key): _split(item, f"{path}.{key}", tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_split(item, f"{path}.{index}", tensors) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: str(value)}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} cannot be kept in a checkpoint; use numbers, text and tensors")


def _key(key: Any) -> str:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise TypeError(f"a key of type {type(key).__name__} cannot be kept in a checkpoint; use text or whole numbers")
    if isinstance(key, str) and key.startswith(("__", _INTEGER_KEY)):
        raise TypeError(f"the key '{key}' cannot be kept in a checkpoint; it may not begin with '__' or '#'")
    return f"{_INTEGER_KEY}{key}" if isinstance(key, int) else key


def join(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The state that `split` took apart; sequences come back as lists."""
    if isinstance(value, dict):
        if _TENSOR in value:
            return tensors[value[_TENSOR]].clone()
        if _NUMBER in value:
            return float(value[_NUMBER])
        return {
            int(key[1:]) if key.startswith(_INTEGER_KEY) else key: join(item, tensors) for key, item in value.items()
        }
    if isinstance(value, list):
        return [join(item, tensors) for item in value]
    return value


@runtime_checkable
class HasBaseWeights(Protocol):
    """A model that begins from weights in files.

    `fingerprint` is the SHA-256 of these files. A model that has only one of the two members is an ordinary one.
    """

    fingerprint: str

    def unchanged_weights(self) -> frozenset[str]:
        """The names of the parameters that are in the files and that training leaves as they are."""
        ...


def base_fingerprint(model: torch.nn.Module) -> str | None:
    """The fingerprint of the files that a model begins from; None for a model that is initialised at random."""
    return model.fingerprint if isinstance(model, HasBaseWeights) else None


def named_tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    """A model's parameters and persistent buffers by name; shared ones once.

    The unchanged weights of a model with base weights (`HasBaseWeights`) are left out: its files hold them.
    """
    names = set(model.state_dict(keep_vars=True))
    in_files = model.unchanged_weights() if isinstance(model, HasBaseWeights) else frozenset[str]()
    tensors: dict[str, Tensor] = {name: p.detach() for name, p in model.named_parameters() if name not in in_files}
    tensors.update({name: b for name, b in model.named_buffers() if name in names})
    return tensors


@torch.no_grad()
def load_named_tensors(model: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors`, which have the names that `named_tensors` gives, into a model."""
    for name, tensor in named_tensors(model).items():
        tensor.copy_(tensors[name])

"""Checks on a model's `config.json` that transformers does not make: values it would fail on, and networks far too large."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from trimtab.boundary import json_type_name, printable, shortened
from trimtab.config.model_folder import entries
from trimtab.config.offline import offline_import
from trimtab.errors import DataError
from trimtab.models.pretrained.weights import Stored

_ACTIVATIONS = {"hidden_act", "hidden_activation", "activation_function"}
_SIZES = {
    "num_attention_heads",
    "num_key_value_heads",
    "num_heads",
    "n_head",
    "n_heads",
    "hidden_size",
    "n_embd",
    "d_model",
    "vocab_size",
}
_COUNTS = re.compile(
    r"((n|num)_(\w+_)?)?(layers?|blocks|stages)|(en|de)coder_layers|first_k_dense_replace|depth|attention_types|block_count"
)
"""Keys whose integers count modules, which transformers builds before any of them has parameters."""

_LARGEST = 1 << 40
_BUFFER_BYTES = 1 << 30


def check_settings(config: dict[str, Any], shown: Path) -> None:
    """Refuse an unknown architecture or activation, and numbers of heads or widths below 1.

    transformers accepts these and fails later without naming the key. Raises DataError, which names it.
    """
    known = offline_import("transformers.activations").ACT2FN
    for key, value, _ in entries(config):
        if key == "model_type" and not isinstance(value, str):
            expected = "the name of an architecture"
        elif key in _ACTIVATIONS and value is not None and not (isinstance(value, str) and value in known):
            expected = "the name of an activation that the installed transformers library knows"
        elif key in _SIZES and isinstance(value, int | float | str) and not _is_size(value):
            expected = "a whole number of at least 1"
        else:
            continue
        raise DataError(
            f"{shown}: its config has {key}: {_shown(value)}, but the value must be {expected}. Correct config.json, or copy "
            "it again."
        )


def check_numbers(config: dict[str, Any], stored: Stored, shown: Path) -> None:
    """Refuse a config with far more layers than there are tensors, and other numbers that no model has.

    Raises DataError.
    """
    most = 1000 + 8 * stored.tensors
    for key, value, _ in entries(config):
        name = shortened(printable(key), 60)
        if isinstance(value, int) and value > (most if _COUNTS.fullmatch(key) else _LARGEST):
            raise DataError(
                f"{shown}: its config says {name} {shortened(str(value), 30)}, but its weight files hold only "
                f"{stored.tensors:,} tensors. Copy the model's files again."
            )
        if ("dropout" in key or key.endswith("pdrop")) and isinstance(value, int | float) and not 0 <= value <= 1:
            raise DataError(
                f"{shown}: its config says {name} {value}, but the value must be a probability. Correct config.json."
            )


@contextmanager
def limit_network_size(stored: Stored, shown: Path) -> Iterator[None]:
    """While the block runs, building a network that is far larger than the weight files raises DataError.

    transformers builds a network without memory for its parameters, so a wrong size costs nothing until weights are loaded.
    The limits are generous because parameters that are tied or replaced during loading are counted more than once.
    """
    limits = {
        "parameters": 8 * stored.numbers + (1 << 20),
        "parameter tensors": 16 * stored.tensors + 1000,
        "modules": 64 * stored.tensors + 10_000,
        "bytes of buffers": 4 * 4 * stored.numbers + _BUFFER_BYTES,
    }
    built = dict.fromkeys(limits, 0)

    def count(what: str, amount: int) -> None:
        built[what] += amount
        if built[what] > limits[what]:
            raise DataError(
                f"{shown}: its config describes a network of more than {limits[what]:,} {what}, the most that is accepted for "
                f"weight files with {stored.tensors:,} tensors and {stored.numbers:,} numbers. Copy the model's files again."
            )

    def on_parameter(_: nn.Module, __: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None:
            count("parameter tensors", 1)
            count("parameters", parameter.numel())

    def on_buffer(_: nn.Module, __: str, buffer: Tensor | None) -> None:
        if buffer is not None:
            count("bytes of buffers", buffer.numel() * buffer.element_size())

    def on_module(_: nn.Module, __: str, ___: nn.Module | None) -> None:
        count("modules", 1)

    with ExitStack() as stack:
        for register, hook in (
            (hooks.register_module_parameter_registration_hook, on_parameter),
            (hooks.register_module_buffer_registration_hook, on_buffer),
            (hooks.register_module_module_registration_hook, on_module),
        ):
            stack.callback(register(hook).remove)
        yield


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _shown(value: Any) -> str:
    if isinstance(value, str | int | float):
        return shortened(printable(repr(value)), 60)
    return json_type_name(value)

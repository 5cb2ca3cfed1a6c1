"""Limits on a network while it is built: no larger than the weights that its files hold."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from trimtab.boundary import printable, shortened
from trimtab.config.model_folder import entries
from trimtab.errors import DataError
from trimtab.models.pretrained.weights import Stored

_COUNTS = re.compile(
    r"((n|num)_(\w+_)?)?(layers?|blocks|stages)|(en|de)coder_layers|first_k_dense_replace|depth|attention_types|block_count"
)
"""Keys of a config whose integers say how many parts are built, before a part has parameters."""

_LARGEST = 1 << 40
_BUFFER_BYTES = 1 << 30


def check_numbers(config: dict[str, Any], stored: Stored, shown: Path) -> None:
    """Refuse a config that counts far more layers than there are tensors, and numbers that no model has.

    Raises DataError.
    """
    most = 1000 + 8 * stored.tensors
    for key, value, _ in entries(config):
        named = shortened(printable(key), 60)
        if isinstance(value, int) and value > (most if _COUNTS.fullmatch(key) else _LARGEST):
            raise DataError(
                f"{shown}: its config says {named} {shortened(str(value), 30)}, and its weight files hold "
                f"{stored.tensors:,} tensors. Copy the model's files anew."
            )
        if ("dropout" in key or key.endswith("pdrop")) and isinstance(value, int | float) and not 0 <= value <= 1:
            raise DataError(f"{shown}: its config says {named} {value}, where a probability belongs. Mend config.json.")


@contextmanager
def bounded(stored: Stored, shown: Path) -> Iterator[None]:
    """While the block runs, a network that grows far larger than the weight files raises DataError at once.

    transformers builds a network without memory for its parameters, so a wrong size costs nothing until weights are loaded.
    Parameters that are tied or replaced while they are loaded count more than once, hence the slack.
    """
    limits = {
        "numbers": 8 * stored.numbers + (1 << 20),
        "parameters": 16 * stored.tensors + 1000,
        "modules": 64 * stored.tensors + 10_000,
        "bytes of tables": 4 * 4 * stored.numbers + _BUFFER_BYTES,
    }
    built = dict.fromkeys(limits, 0)

    def count(what: str, amount: int) -> None:
        built[what] += amount
        if built[what] > limits[what]:
            raise DataError(
                f"{shown}: its config describes a network of more than {limits[what]:,} {what}, and its weight files hold "
                f"{stored.numbers:,} numbers in {stored.tensors:,} tensors. Copy the model's files anew."
            )

    def on_parameter(_: nn.Module, __: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None:
            count("parameters", 1)
            count("numbers", parameter.numel())

    def on_buffer(_: nn.Module, __: str, buffer: Tensor | None) -> None:
        if buffer is not None:
            count("bytes of tables", buffer.numel() * buffer.element_size())

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

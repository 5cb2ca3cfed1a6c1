"""A pretrained network from its files, by the transformers library, without the network and without running its code."""

import functools
import struct
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from trimtab.config.offline import offline_import
from trimtab.errors import DataError
from trimtab.models.pretrained.files import ModelFiles, stored_numbers


def load_network(files: ModelFiles) -> nn.Module:
    """The causal language model of a folder or GGUF file, with its weights as they are stored (a GGUF file's in fp32).

    Memory holds one copy of the weights. Raises ConfigError without the extra, and DataError for files that are no causal
    language model of a known architecture or whose weights do not fit their config.
    """
    transformers = offline_import("transformers")
    from_gguf: dict[str, Any] = {}
    if files.gguf is not None:
        offline_import("gguf")
        _show_bar_on_terminals_only()
        from_gguf = {"gguf_file": files.gguf}
        if hasattr(
            transformers, "GgufConfig"
        ):  # otherwise some releases leave matrices packed, for other kernels to use
            from_gguf["quantization_config"] = transformers.GgufConfig(dequantize=True)
    try:
        network, report = transformers.AutoModelForCausalLM.from_pretrained(
            str(files.folder),
            dtype=torch.float32 if files.gguf is not None else "auto",
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **from_gguf,
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        ImportError,
        IndexError,
        struct.error,
        SafetensorError,
    ) as error:
        if isinstance(error, SafetensorError):
            for path in files.weights:
                stored_numbers(path)  # says which file it is
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(
            f"{files.shown} cannot be loaded as a language model: {reason}. Use the folder of a causal language model that the "
            "installed transformers library knows."
        ) from error
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found := sorted(map(str, report.get(what) or ())):
            raise DataError(
                f"{files.shown}: its weights do not fit its config: {what.replace('_', ' ')} {', '.join(found[:3])}"
                f"{' and others' if len(found) > 3 else ''}. Copy the model's files anew."
            )
    module: nn.Module = network
    return module


def _show_bar_on_terminals_only() -> None:
    """transformers dequantises under a progress bar that it cannot switch off; tqdm's `disable=None` looks at the stream."""
    module = offline_import("transformers.modeling_gguf_pytorch_utils")
    bar = getattr(module, "tqdm", None)
    if bar is not None and not isinstance(bar, functools.partial):
        setattr(module, "tqdm", functools.partial(bar, disable=None))  # noqa: B010 - its type declares no such name


def blocks_of(network: nn.Module) -> tuple[str, nn.ModuleList]:
    """The name and the list of a network's blocks: its first list of as many modules as the config counts layers.

    Raises DataError where there is none.
    """
    layers = int(_config(network).get_text_config().num_hidden_layers)
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return name, module
    raise DataError(
        f"The {type(network).__name__} has no list of {layers} blocks, so its last layers and its blocks' linear maps cannot be "
        "named. Adapt it in full, or by its norms."
    )


def positions_of(network: nn.Module) -> int | None:
    """The longest sequence that a network's config allows; None where it names no bound."""
    found = getattr(_config(network).get_text_config(), "max_position_embeddings", None)
    return None if found is None else int(found)


def _config(network: nn.Module) -> Any:
    return getattr(network, "config")  # noqa: B009 - transformers' networks are typed as plain modules

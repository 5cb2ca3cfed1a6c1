"""Loads a pretrained network from its files with transformers, without internet access and without running its code."""

import functools
from typing import Any

import torch
from torch import nn

from trimtab.boundary import foreign, printable, run_limited, shortened
from trimtab.config.offline import offline_import
from trimtab.errors import DataError
from trimtab.models.pretrained.config_checks import check_numbers, check_settings, limit_network_size
from trimtab.models.pretrained.files import ModelFiles, folder_to_load
from trimtab.models.pretrained.gguf_facts import gguf_facts
from trimtab.models.pretrained.weights import Stored, stored_in

_ATTENTION = {"eager", "sdpa"}


def load_network(files: ModelFiles) -> nn.Module:
    """The causal language model of a folder or GGUF file, in the type that most of its weights have (fp32 for GGUF).

    Only `files.config` and the weights are read, and only one copy of the weights is in memory. Raises ConfigError without the
    extra, and DataError if the files are no causal language model of a known architecture, if the weights do not fit the config,
    or if the config describes a network far larger than the weights.
    """
    transformers = offline_import("transformers")
    stored = stored_in(files.weights) if files.gguf is None else _stored_in_gguf(files)
    check_numbers(files.config, stored, files.shown)
    check_settings(files.config, files.shown)
    options: dict[str, Any] = {"dtype": stored.dtype}
    if files.gguf is not None:
        _show_bar_on_terminals_only()
        options["gguf_file"] = files.gguf
        if hasattr(transformers, "GgufConfig"):  # otherwise some releases keep matrices packed for special kernels
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with folder_to_load(files) as folder:

        def message(reason: str) -> str:
            return (
                f"{files.shown} cannot be loaded as a language model: {reason.replace(str(folder), str(files.folder))}. Use the "
                "folder of a causal language model that the installed transformers library knows."
            )

        with limit_network_size(stored, files.shown), foreign(DataError, message):
            network, report = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
            network.config.name_or_path = str(files.folder)
            attention = network.config._attn_implementation
    if attention is not None and attention not in _ATTENTION:
        raise DataError(
            f"{files.shown}: a {type(network).__name__} computes attention with '{attention}', but Trimtab only uses "
            f"{' and '.join(sorted(_ATTENTION))}. Use a model of another architecture."
        )
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, report.get(what) or ())):
            raise DataError(
                f"{files.shown}: its weights do not fit its config: {what.replace('_', ' ')} "
                f"{shortened(printable(', '.join(keys[:3])), 300)}"
                f"{' and others' if len(keys) > 3 else ''}. Copy the model's files again."
            )
    _correct_tied_flag(network)
    module: nn.Module = network
    return module


def _stored_in_gguf(files: ModelFiles) -> Stored:
    offline_import("gguf")
    size = files.size
    with foreign(
        DataError,
        lambda reason: f"{files.shown} cannot be read as a GGUF file: {reason}. Copy the file again.",
    ):
        facts = run_limited(gguf_facts, str(files.shown), seconds=120, memory=size + (4 << 30))
    if facts["parts"] > 1:
        raise DataError(
            f"{files.shown} is one of the {facts['parts']} parts of a split GGUF file, but Trimtab reads whole files. Merge the "
            "parts with llama.cpp (llama-gguf-split --merge FIRST_PART.gguf WHOLE.gguf) and name the merged file."
        )
    stored = Stored(facts["numbers"], facts["tensors"], torch.float32)
    check_numbers(facts["counts"], stored, files.shown)
    return stored


def _correct_tied_flag(network: Any) -> None:
    """Correct a config that says that head and embedding are tied although the files have separate ones; exports use the flag."""
    with foreign(
        DataError,
        lambda reason: f"The {type(network).__name__} has no embedding or head: {reason}. Use another model.",
    ):
        table, head = network.get_input_embeddings(), network.get_output_embeddings()
    if getattr(head, "weight", None) is getattr(table, "weight", None):
        return
    for config in (network.config, network.config.get_text_config()):
        if getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False


def _show_bar_on_terminals_only() -> None:
    """Make the progress bar of transformers' dequantisation, which has no switch, appear on terminals only (`disable=None`)."""
    module = offline_import("transformers.modeling_gguf_pytorch_utils")
    bar = getattr(module, "tqdm", None)
    if bar is not None and not isinstance(bar, functools.partial):
        setattr(module, "tqdm", functools.partial(bar, disable=None))  # noqa: B010 - its type declares no such name


def blocks_of(network: nn.Module) -> tuple[str, nn.ModuleList]:
    """The name and the list of a network's blocks: the first module list whose length is the config's number of layers.

    Raises DataError if there is none.
    """
    layers = getattr(_text_config(network), "num_hidden_layers", None)
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return name, module
    raise DataError(
        f"The {type(network).__name__} has no list of {layers} blocks, so `last_layers` and `lora` cannot be used. Adapt it in "
        "full, or its norms."
    )


def positions_of(network: nn.Module) -> int | None:
    """The longest sequence that a network's config allows; None if it names no limit. Raises DataError for an invalid value."""
    longest = getattr(_text_config(network), "max_position_embeddings", None)
    if longest is None:
        return None
    if not isinstance(longest, int) or longest < 1:
        raise DataError(
            f"The {type(network).__name__}'s config names {longest!r} as its longest sequence (max_position_embeddings). "
            "Copy the model's config.json again."
        )
    return longest


def _text_config(network: nn.Module) -> Any:
    config = getattr(network, "config")  # noqa: B009 - transformers' networks are typed as plain modules
    with foreign(
        DataError, lambda reason: f"The {type(network).__name__}'s config is damaged: {reason}. Copy it again."
    ):
        return config.get_text_config()

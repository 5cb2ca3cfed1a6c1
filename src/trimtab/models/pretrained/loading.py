"""A pretrained network from its files, by the transformers library, without the network and without running its code."""

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
    """The causal language model of a folder or GGUF file, in the type that most weights have (a GGUF file's in fp32).

    Only the config, as `files` has it, and the weights are read. Memory holds one copy of the weights. Raises ConfigError
    without the extra, and DataError for files that are no causal language model of a known architecture, whose weights do
    not fit their config, or that describe a network far larger than their weights.
    """
    transformers = offline_import("transformers")
    stored = stored_in(files.weights) if files.gguf is None else _stored_in_gguf(files)
    check_numbers(files.config, stored, files.shown)
    check_settings(files.config, files.shown)
    options: dict[str, Any] = {"dtype": stored.dtype}
    if files.gguf is not None:
        _show_bar_on_terminals_only()
        options["gguf_file"] = files.gguf
        if hasattr(
            transformers, "GgufConfig"
        ):  # otherwise some releases leave matrices packed, for other kernels to use
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with folder_to_load(files) as folder:

        def worded(reason: str) -> str:
            return (
                f"{files.shown} cannot be loaded as a language model: {reason.replace(str(folder), str(files.folder))}. Use the "
                "folder of a causal language model that the installed transformers library knows."
            )

        with limit_network_size(stored, files.shown), foreign(DataError, worded):
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
            f"{files.shown}: a {type(network).__name__} computes attention by '{attention}', and Trimtab uses none but "
            f"{' and '.join(sorted(_ATTENTION))}. Use a model of another architecture."
        )
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found := sorted(map(str, report.get(what) or ())):
            raise DataError(
                f"{files.shown}: its weights do not fit its config: {what.replace('_', ' ')} "
                f"{shortened(printable(', '.join(found[:3])), 300)}"
                f"{' and others' if len(found) > 3 else ''}. Copy the model's files anew."
            )
    _say_how_it_is_tied(network)
    module: nn.Module = network
    return module


def _stored_in_gguf(files: ModelFiles) -> Stored:
    offline_import("gguf")
    size = files.size
    with foreign(
        DataError,
        lambda reason: f"{files.shown} cannot be read as a GGUF file: {reason}. Copy the file anew.",
    ):
        facts = run_limited(gguf_facts, str(files.shown), seconds=120, memory=size + (4 << 30))
    if facts["parts"] > 1:
        raise DataError(
            f"{files.shown} is one of the {facts['parts']} parts of a split GGUF file, and Trimtab reads whole ones. Merge them "
            "with llama.cpp (llama-gguf-split --merge FIRST_PART.gguf WHOLE.gguf) and name the merged file."
        )
    stored = Stored(facts["numbers"], facts["tensors"], torch.float32)
    check_numbers(facts["counts"], stored, files.shown)
    return stored


def _say_how_it_is_tied(network: Any) -> None:
    """Correct a config that says that the head is the embedding where the files hold another head; exports follow the config."""
    with foreign(
        DataError, lambda reason: f"The {type(network).__name__} has no embedding and head to compare: {reason}."
    ):
        table, head = network.get_input_embeddings(), network.get_output_embeddings()
    if getattr(head, "weight", None) is getattr(table, "weight", None):
        return
    for config in (network.config, network.config.get_text_config()):
        if getattr(config, "tie_word_embeddings", False):
            config.tie_word_embeddings = False


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
    layers = getattr(_text_config(network), "num_hidden_layers", None)
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return name, module
    raise DataError(
        f"The {type(network).__name__} has no list of {layers} blocks, so its last layers and its blocks' linear maps cannot be "
        "named. Adapt it in full, or by its norms."
    )


def positions_of(network: nn.Module) -> int | None:
    """The longest sequence that a network's config allows; None where it names no bound. Raises DataError for another value."""
    longest = getattr(_text_config(network), "max_position_embeddings", None)
    if longest is None:
        return None
    if not isinstance(longest, int) or longest < 1:
        raise DataError(
            f"The {type(network).__name__}'s config names {longest!r} as its longest sequence (max_position_embeddings). "
            "Copy the model's config.json anew."
        )
    return longest


def _text_config(network: nn.Module) -> Any:
    config = getattr(network, "config")  # noqa: B009 - transformers' networks are typed as plain modules
    with foreign(
        DataError, lambda reason: f"The {type(network).__name__}'s config is damaged: {reason}. Copy it anew."
    ):
        return config.get_text_config()

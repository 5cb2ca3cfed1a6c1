"""A pretrained model written to a folder that transformers (or peft) loads."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from trimtab.config.model_folder import read_member
from trimtab.config.offline import offline_import
from trimtab.errors import ConfigError
from trimtab.records.atomic import atomic_directory

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
"""What a model folder holds of its tokenizer."""

COPY_LIMIT = 256 << 20
"""Bytes that a copied file may have; tokenizers of 250,000 tokens have 30 million."""


def save_model(model: Any, folder: str | Path, *, adapter: bool = False) -> None:
    """Write a `Pretrained` to a new folder; the model itself stays as it is.

    By default all its weights, in fp32, low-rank additions merged into their matrices. With `adapter` the additions alone,
    as peft writes them, naming the model's folder as their base. The tokenizer's files are copied from
    there, and for a whole model the settings of generation. Raises ConfigError when the folder exists, and for an adapter of
    a model that trains anything else than additions, or none.
    """
    target = Path(folder).expanduser()
    if target.exists():
        raise ConfigError(f"{target} exists already. Name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(target) as temporary:
        if adapter:
            _write_adapter(model, temporary)
        else:
            write_network(model.network, merged_weights(model.network), temporary)
        if model.source.is_dir():
            for name in TOKENIZER_FILES if adapter else (*TOKENIZER_FILES, "generation_config.json"):
                if (content := read_member(model.source, name, at_most=COPY_LIMIT)) is not None:
                    (temporary / name).write_bytes(content)


def write_network(network: Any, weights: dict[str, Tensor], folder: Path) -> None:
    """Write weights and the config of a network's kind to an existing folder, in fp32 and without any quantisation entry."""
    config = type(network.config).from_dict(_plain_config(network))
    with torch.device("meta"):
        bare = type(network)(config)
    own = set(bare.state_dict())
    bare.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False, assign=True)
    bare.tie_weights()
    if left := [name for name, parameter in bare.named_parameters() if parameter.is_meta]:
        raise ConfigError(f"The weights {', '.join(left[:3])} are missing, so the model cannot be written.")
    bare.generation_config = network.generation_config
    bare.save_pretrained(folder)


def _plain_config(network: Any) -> dict[str, Any]:
    config = network.config.to_dict()
    config.pop("quantization_config", None)
    return {**config, "dtype": "float32"}


@torch.no_grad()
def merged_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights in fp32 by the names that they have without low-rank additions; these are added in.

    A merged matrix is W + alpha / rank · B A, computed in fp32.
    """
    layers = _lora_layers(network)
    weights: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if ".lora_" not in name:
            weights[name.replace(".base_layer.", ".")] = value.detach().float() if value.is_floating_point() else value
    for name, layer in layers.items():
        weights[f"{name}.weight"] = weights[f"{name}.weight"] + layer.get_delta_weight("default").float()
    return weights


def _lora_layers(network: nn.Module) -> dict[str, Any]:
    if not any(".lora_" in name for name, _ in network.named_parameters()):
        return {}
    kind = offline_import("peft").tuners.lora.LoraLayer
    return {name: module for name, module in network.named_modules() if isinstance(module, kind)}


def _write_adapter(model: Any, folder: Path) -> None:
    if model.source.is_file():
        raise ConfigError(
            f"An adapter names the folder of its model, and {model.source} is a GGUF file. Import it first (trimtab models "
            "import) and train that, or write the merged model."
        )
    if not model.lr_multipliers or not all(".lora_" in name for name in model.lr_multipliers):
        others = [name for name in model.lr_multipliers if ".lora_" not in name][:1]
        raise ConfigError(
            "An adapter folder holds low-rank additions alone, and this model trains "
            f"{others[0] + ' and more' if others else 'none'}. Write the merged model instead."
        )
    (settings,) = {id(c): c for c in model.network.peft_config.values()}.values()
    settings.base_model_name_or_path = str(model.source)
    settings.inference_mode = True
    settings.save_pretrained(folder)
    named = {
        f"base_model.model.{name.replace('.default.', '.')}": parameter.detach().float().contiguous()
        for name, parameter in model.network.named_parameters()
        if ".lora_" in name
    }
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})

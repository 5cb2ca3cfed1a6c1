"""Writes a pretrained model to a folder that transformers (or peft) loads."""

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from trimtab.boundary import foreign, user_path
from trimtab.config.model_folder import read_member
from trimtab.config.offline import offline_import
from trimtab.errors import ConfigError, WorkError
from trimtab.models.pretrained.files import model_files
from trimtab.models.pretrained.loading import blocks_of, load_network
from trimtab.models.pretrained.logit_comparison import TOLERANCE, distance, logits_in_fp32
from trimtab.records.atomic import atomic_directory

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
"""The tokenizer files in a model folder."""

COPY_LIMIT = 256 << 20
"""The most bytes of a copied file; tokenizers with 250,000 tokens have 30 million."""

_MODEL_ADVICE = "The installed transformers library cannot write this model; use another release of it."
_ADAPTER_ADVICE = "The installed peft library applies these additions differently; write the merged model instead."


def save_model(model: Any, folder: str | Path, *, adapter: bool = False) -> None:
    """Write a `Pretrained` to a new folder; the model itself does not change.

    By default writes all weights in fp32, with low-rank additions merged. With `adapter` writes only the additions, in peft's
    format, with the model's folder as their base. Also copies the tokenizer's files and, for a whole model, the generation
    settings. The result is loaded again, and the folder appears only if it gives the model's logits. Raises ConfigError if the
    folder exists, and for an adapter of a model that trains anything but additions, and WorkError if the logits differ.
    """
    target = user_path(folder)
    if target.exists():
        raise ConfigError(f"{target} exists already. Name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(target) as temporary:
        if adapter:
            write_adapter(model, temporary)
            check_written(model.network, loaded_adapter(model, temporary), target, _ADAPTER_ADVICE)
        else:
            write_network(model.network, merged_weights(model.network), temporary)
            check_written(model.network, load_network(model_files(str(temporary))), target)
        if model.source.is_dir():
            for name in TOKENIZER_FILES if adapter else (*TOKENIZER_FILES, "generation_config.json"):
                if (content := read_member(model.source, name, at_most=COPY_LIMIT)) is not None:
                    (temporary / name).write_bytes(content)


def check_written(network: nn.Module, written: nn.Module, target: Path, advice: str = _MODEL_ADVICE) -> None:
    """Raises WorkError if the reloaded network `written` gives other logits than `network`.

    `advice` ends the message.
    """
    difference = distance(logits_in_fp32(written), logits_in_fp32(network))
    if not difference < TOLERANCE:
        raise WorkError(
            f"{target} is not written: loaded again, the {type(network).__name__} gives other logits ({difference:.2g} standard "
            f"deviations apart). {advice}"
        )


def loaded_adapter(model: Any, folder: Path) -> nn.Module:
    """The model's base with the additions of an adapter folder, loaded by peft."""
    base = load_network(model_files(str(model.source)))
    # Use the model's own base weights: under bf16 its frozen matrices are rounded.
    own = {name.replace(".base_layer.", "."): value for name, value in model.network.named_parameters()}
    for name, parameter in base.named_parameters():
        parameter.data = own[name].detach().to(parameter.device)
    with (
        warnings.catch_warnings(),
        foreign(
            ConfigError,
            lambda reason: (
                f"peft cannot read an adapter of this {type(base).__name__}: {reason}. Write the merged model."
            ),
        ),
    ):
        warnings.simplefilter("ignore")
        adapted: nn.Module = offline_import("peft").PeftModel.from_pretrained(base, str(folder)).get_base_model()
    return adapted


def write_network(network: Any, weights: dict[str, Tensor], folder: Path) -> None:
    """Write weights and config to an existing folder, in fp32 and without quantisation settings."""
    empty = _empty(network)
    own = set(empty.state_dict())
    empty.load_state_dict({name: value for name, value in weights.items() if name in own}, strict=False, assign=True)
    empty.tie_weights()
    if left := [name for name, parameter in empty.named_parameters() if parameter.is_meta]:
        raise ConfigError(f"The weights {', '.join(left[:3])} are missing, so the model cannot be written.")
    empty.generation_config = network.generation_config
    empty.save_pretrained(folder)


def export_difference(network: Any) -> str | None:
    """How the names, shapes or ties of weights would differ in a network built from this one's config; None if they would not."""
    empty = _empty(network)
    for what, mine, its in (
        ("shapes", _shapes(network), _shapes(empty)),
        ("ties", _ties(network), _ties(empty)),
    ):
        if different := sorted(mine ^ its):
            return f"the {what} of {different[0][0]} differ"
    return None


def _empty(network: Any) -> Any:
    """A network of the same class from the same config, without memory for its weights."""
    config = network.config.to_dict()
    config.pop("quantization_config", None)
    with torch.device("meta"):
        empty = type(network)(type(network.config).from_dict({**config, "dtype": "float32"}))
    empty.tie_weights()
    return empty


def _shapes(network: nn.Module) -> set[tuple[str, ...]]:
    return {(name, str(tuple(value.shape))) for name, value in network.state_dict().items()}


def _ties(network: nn.Module) -> set[tuple[str, ...]]:
    """The groups of names that belong to one parameter."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {tuple(sorted(group)) for group in names.values() if len(group) > 1}


@torch.no_grad()
def merged_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights in fp32 with low-rank additions merged, by their names without additions.

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


def write_adapter(model: Any, folder: Path) -> None:
    """Write the low-rank additions of a `Pretrained` to an existing folder. Raises ConfigError if it trains anything else."""
    if model.source.is_file():
        raise ConfigError(
            f"An adapter needs the folder of its base model, but {model.source} is a GGUF file. Import it first (trimtab "
            "models import) and train the imported model, or write the merged model."
        )
    if not model.lr_multipliers or not all(".lora_" in name for name in model.lr_multipliers):
        others = [name for name in model.lr_multipliers if ".lora_" not in name][:1]
        raise ConfigError(
            "An adapter folder holds only low-rank additions, but this model trains "
            f"{others[0] + ' and more' if others else 'none'}. Write the merged model instead."
        )
    _, blocks = blocks_of(model.network)
    (settings,) = map(copy.copy, getattr(blocks, "peft_config").values())  # noqa: B009 - set by peft, see `adaptation`
    settings.target_modules = set(_lora_layers(model.network))
    settings.base_model_name_or_path = str(model.source)
    settings.inference_mode = True
    settings.save_pretrained(folder)
    tensors = {
        f"base_model.model.{name.replace('.default.', '.')}": parameter.detach().float().contiguous()
        for name, parameter in model.network.named_parameters()
        if ".lora_" in name
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})

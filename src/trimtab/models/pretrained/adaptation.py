"""What `adapt` lists: the parts of a pretrained model that are trained, and how a network is prepared for them."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from trimtab.config.offline import offline_import
from trimtab.config.schema import Frozen
from trimtab.errors import ConfigError
from trimtab.models.pretrained.loading import blocks_of


class Part(Frozen):
    """A set of parameters to train, with its own learning rate."""

    lr: Annotated[float, Field(gt=0, description="learning rate as a multiple of the optimiser's")] = 1.0


class Full(Part):
    """Every parameter of the model."""

    name: Literal["full"] = "full"


class LastLayers(Part):
    """Every parameter of the last blocks, without the final norm and the head."""

    name: Literal["last_layers"] = "last_layers"
    layers: Annotated[int, Field(ge=1, description="number of blocks, from the last")]


class Norms(Part):
    """The weights and biases of every normalisation layer."""

    name: Literal["norms"] = "norms"


class Embeddings(Part):
    """The token embedding and the head (one matrix if they are tied), and learned position embeddings."""

    name: Literal["embeddings"] = "embeddings"


class Lora(Part):
    """Low-rank additions to linear layers (LoRA, Hu et al. 2022): W + alpha / rank · B A, with B = 0 at the start."""

    name: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1, description="rank of the additions")] = 8
    alpha: Annotated[float, Field(gt=0, description="scale of the additions; they are multiplied by alpha / rank")] = (
        16.0
    )
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the inputs of the additions")] = 0.0
    targets: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...] | None,
        Field(
            min_length=1,
            description="last parts of the layers' names, such as q_proj; null: all linear layers of the blocks",
        ),
    ] = None


Adaptation = Annotated[Full | LastLayers | Norms | Embeddings | Lora, Field(discriminator="name")]
"""An entry of `adapt`."""


def check_parts(names: list[str]) -> None:
    """Refuse a list that names a part twice.

    Raises:
        ValueError: one sentence that names the key.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"adapt: the part '{twice[0]}' is listed twice; list each part once")


def adapt_network(network: nn.Module, parts: Sequence[Adaptation]) -> dict[str, float]:
    """Prepare a network in place for training `parts`; returns the learning-rate multiplier of each trained parameter.

    A parameter in several parts has the multiplier of the last one. Trained parameters are fp32, whatever type the files have.
    Low-rank additions draw their initial weights from torch's global generator. Raises ConfigError for a part that the network
    does not have.
    """
    own = {id(parameter) for parameter in network.parameters()}
    for part in parts:
        if isinstance(part, Lora):
            _add_lora(network, part)
    network.requires_grad_(False)
    multipliers: dict[str, float] = {}
    for part in parts:
        multipliers.update(dict.fromkeys(_names(network, part, own), part.lr))
    for name, parameter in network.named_parameters():
        if name in multipliers:
            parameter.requires_grad_(True)
            if parameter.dtype in (torch.bfloat16, torch.float16):
                parameter.data = parameter.data.float()
    return multipliers


def _names(network: nn.Module, part: Adaptation, own: set[int]) -> Iterable[str]:
    """The names of one part's parameters; `own` are the ids of the parameters before additions."""
    named = list(network.named_parameters())
    if isinstance(part, Lora):
        return [name for name, parameter in named if id(parameter) not in own]
    if isinstance(part, Full):
        chosen = own
    elif isinstance(part, LastLayers):
        _, blocks = blocks_of(network)
        if part.layers > len(blocks):
            raise ConfigError(
                f"model.adapt: last_layers has layers {part.layers}, but the model has only {len(blocks)} blocks. "
                f"Set layers to at most {len(blocks)}."
            )
        chosen = {id(parameter) for block in blocks[-part.layers :] for parameter in block.parameters()} & own
    elif isinstance(part, Norms):
        norms = [module for module in network.modules() if "norm" in type(module).__name__.lower()]
        chosen = {id(parameter) for module in norms for parameter in module.parameters()} & own
    else:
        chosen = _embeddings(network, part)
    if not any(id(parameter) in chosen for _, parameter in named):
        raise ConfigError(f"model.adapt: the model has no parameters for the part '{part.name}'. Remove the part.")
    return [name for name, parameter in named if id(parameter) in chosen]


def _embeddings(network: nn.Module, part: Embeddings) -> set[int]:
    tables = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    head = getattr(network, "get_output_embeddings")()  # noqa: B009 - transformers' networks are typed as plain modules
    return {
        id(parameter)
        for module in (*tables, *([head] if head is not None else []))
        for parameter in module.parameters()
    }


def linear_layers(network: nn.Module) -> list[str]:
    """The full names of the linear layers inside a network's blocks (including GPT-2's transposed ones)."""
    prefix, blocks = blocks_of(network)
    return [f"{prefix}.{name}" for name in _linear_layers(blocks)]


def _linear_layers(blocks: nn.ModuleList) -> list[str]:
    kinds = (nn.Linear, offline_import("transformers").pytorch_utils.Conv1D)
    return [name for name, module in blocks.named_modules() if isinstance(module, kinds)]


def _add_lora(network: nn.Module, part: Lora) -> None:
    peft = offline_import("peft")
    _, blocks = blocks_of(network)
    layers = _linear_layers(blocks)
    if part.targets is None:
        targets = layers
    else:
        endings = sorted({name.rpartition(".")[2] for name in layers})
        for target in part.targets:
            if target not in endings:
                raise ConfigError(
                    f"model.adapt: lora has the target '{target}', but no linear layer of the blocks has that name. "
                    f"Names: {', '.join(endings)}."
                )
        targets = [name for name in layers if name.rpartition(".")[2] in part.targets]
    transposed = [not isinstance(blocks.get_submodule(name), nn.Linear) for name in targets]
    if any(transposed) and not all(transposed):
        raise ConfigError(
            "model.adapt: lora cannot adapt linear layers of two kinds (plain and transposed) at once. Name targets of one kind."
        )
    settings = peft.LoraConfig(
        r=part.rank,
        lora_alpha=part.alpha,
        lora_dropout=part.dropout,
        target_modules=targets,
        fan_in_fan_out=all(transposed),
        bias="none",
        task_type="CAUSAL_LM",
    )
    # With the whole network, peft recognises mixtures of experts and adds to their fused experts instead of the named layers,
    # and such additions cannot be merged. With the list of blocks it does not recognise the architecture.
    peft.inject_adapter_in_model(settings, blocks)
    adapted = {name for name, module in blocks.named_modules() if isinstance(module, peft.tuners.lora.LoraLayer)}
    if adapted != set(targets):
        different = min(adapted ^ set(targets))
        raise ConfigError(
            f"model.adapt: peft {peft.__version__} does not adapt exactly the layers that lora names ({different} differs). "
            "Name other targets, or adapt another part of the model."
        )

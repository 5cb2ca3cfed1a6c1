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
    """Parameters that are trained, with their own learning rate."""

    lr: Annotated[float, Field(gt=0, description="learning rate as a multiple of the optimiser's")] = 1.0


class Full(Part):
    """Every parameter of the model."""

    name: Literal["full"] = "full"


class LastLayers(Part):
    """Every parameter of the last blocks; the final norm and the head are not among them."""

    name: Literal["last_layers"] = "last_layers"
    layers: Annotated[int, Field(ge=1, description="how many blocks, counted from the last")]


class Norms(Part):
    """The weights and biases of every normalisation layer."""

    name: Literal["norms"] = "norms"


class Embeddings(Part):
    """The token embedding and the head (one matrix where they are tied), and learned positions where there are any."""

    name: Literal["embeddings"] = "embeddings"


class Lora(Part):
    """Low-rank additions to linear maps (Hu et al. 2022): W + alpha / rank · B A, with B = 0 at the start."""

    name: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1, description="rank of the additions")] = 8
    alpha: Annotated[float, Field(gt=0, description="scale of the additions, divided by the rank")] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on what enters the additions")] = 0.0
    targets: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...] | None,
        Field(min_length=1, description="last parts of the maps' names, such as q_proj; null: every map of the blocks"),
    ] = None


Adaptation = Annotated[Full | LastLayers | Norms | Embeddings | Lora, Field(discriminator="name")]
"""One part of `adapt`."""


def check_parts(names: list[str]) -> None:
    """Refuse a list of parts that makes no sense.

    Raises:
        ValueError: one sentence that names the key.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"adapt: the part '{twice[0]}' is listed twice; list each part once")


def adapt_network(network: nn.Module, parts: Sequence[Adaptation]) -> dict[str, float]:
    """Make a network trainable as `parts` say, in place; returns the learning-rate multiplier of each trained parameter.

    A parameter that several parts name has the multiplier of the last of them. Trained parameters are fp32, whatever the
    files hold. Low-rank additions draw their initial weights from torch's global generator. Raises ConfigError for a part
    that the network does not have.
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
    """The parameters of one part; `own` are the ids of those that the network had before anything was added."""
    named = list(network.named_parameters())
    if isinstance(part, Lora):
        return [name for name, parameter in named if id(parameter) not in own]
    if isinstance(part, Full):
        chosen = own
    elif isinstance(part, LastLayers):
        _, blocks = blocks_of(network)
        if part.layers > len(blocks):
            raise ConfigError(
                f"model.adapt: the last {part.layers} layers were asked for, and the model has {len(blocks)}. "
                f"Set layers to {len(blocks)} at most."
            )
        chosen = {id(parameter) for block in blocks[-part.layers :] for parameter in block.parameters()} & own
    elif isinstance(part, Norms):
        norms = [module for module in network.modules() if "norm" in type(module).__name__.lower()]
        chosen = {id(parameter) for module in norms for parameter in module.parameters()} & own
    else:
        chosen = _embeddings(network, part)
    if not any(id(parameter) in chosen for _, parameter in named):
        raise ConfigError(f"model.adapt: the model has no parameters for the part '{part.name}'. Leave it out.")
    return [name for name, parameter in named if id(parameter) in chosen]


def _embeddings(network: nn.Module, part: Embeddings) -> set[int]:
    tables = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    head = getattr(network, "get_output_embeddings")()  # noqa: B009 - transformers' networks are typed as plain modules
    return {
        id(parameter)
        for module in (*tables, *([head] if head is not None else []))
        for parameter in module.parameters()
    }


def linear_maps(network: nn.Module) -> list[str]:
    """The full names of the linear maps inside a network's blocks (GPT-2's transposed ones included)."""
    prefix, blocks = blocks_of(network)
    return [f"{prefix}.{name}" for name in _maps_within(blocks)]


def _maps_within(blocks: nn.ModuleList) -> list[str]:
    kinds = (nn.Linear, offline_import("transformers").pytorch_utils.Conv1D)
    return [name for name, module in blocks.named_modules() if isinstance(module, kinds)]


def _add_lora(network: nn.Module, part: Lora) -> None:
    peft = offline_import("peft")
    _, blocks = blocks_of(network)
    maps = _maps_within(blocks)
    if part.targets is None:
        targets = maps
    else:
        endings = sorted({name.rpartition(".")[2] for name in maps})
        for target in part.targets:
            if target not in endings:
                raise ConfigError(
                    f"model.adapt: lora has the target '{target}', and no linear map of the blocks is called so. "
                    f"There are: {', '.join(endings)}."
                )
        targets = [name for name in maps if name.rpartition(".")[2] in part.targets]
    transposed = [not isinstance(blocks.get_submodule(name), nn.Linear) for name in targets]
    if any(transposed) and not all(transposed):
        raise ConfigError(
            "model.adapt: lora cannot serve this model's linear maps of two kinds at once. Name targets of one kind."
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
    # Given the whole network, peft recognises mixtures of experts and puts additions on their fused experts instead of on the
    # maps that are named, and those cannot be merged. The list of blocks says nothing of the kind of its network.
    peft.inject_adapter_in_model(settings, blocks)
    adapted = {name for name, module in blocks.named_modules() if isinstance(module, peft.tuners.lora.LoraLayer)}
    if adapted != set(targets):
        odd = min(adapted ^ set(targets))
        raise ConfigError(
            f"model.adapt: peft {peft.__version__} does not put low-rank additions on the maps that lora names ({odd} differs). "
            "Name other targets, or adapt another part of the model."
        )

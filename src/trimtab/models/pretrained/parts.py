"""Which parameters of a pretrained model are trained, and how fast: the parts that `adapt` lists."""

from typing import Annotated, Literal

from pydantic import Field

from trimtab.config.schema import Frozen


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

"""Terms on the activations that a hook collected."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from trimtab.config import ConfigError
from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import mean, refuse_soft, select

Layers = Annotated[
    str, Field(min_length=1, description="regular expression that must match the whole name of a collected layer")
]


class ActivationSparsity(TokenLoss):
    """The mean absolute activation over features, layers and target positions, or its distance from a `target`.

    In the activations' own unit. Needs `batch_metadata["activations"]`, a mapping of layer names to tensors [batch, time,
    features]. Source: the L1 penalty of sparse coding (Olshausen & Field 1996). It does not read the logits.
    """

    term = True
    bias = (StatedBias("none", weight=0.1),)

    def __init__(
        self,
        *,
        layers: Layers = ".*",
        target: Annotated[
            float | None,
            Field(ge=0, description="mean absolute activation of a position that costs nothing; null for 0"),
        ] = None,
    ) -> None:
        self.layers, self.target = _pattern("activation_sparsity", layers), target

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; raises `ConfigError` where no activations were collected."""
        activations = _activations("activation_sparsity", self.layers, logits, labels, batch_metadata)
        level = torch.stack([activation.abs().mean(-1) for activation in activations])
        return mean((level if self.target is None else (level - self.target).abs()).mean(0))


class ActivationNorm(TokenLoss):
    """The mean squared activation over features, layers and target positions.

    In the square of the activations' unit. Needs `batch_metadata["activations"]`, a mapping of layer names to tensors [batch,
    time, features]. Source: activation regularisation (Merity et al. 2017, Revisiting Activation Regularization for Language
    RNNs). It does not read the logits.
    """

    term = True
    bias = (StatedBias("none", weight=0.1),)

    def __init__(self, *, layers: Layers = ".*") -> None:
        self.layers = _pattern("activation_norm", layers)

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; raises `ConfigError` where no activations were collected."""
        activations = _activations("activation_norm", self.layers, logits, labels, batch_metadata)
        return mean(torch.stack([(activation**2).mean(-1) for activation in activations]).mean(0))


def _pattern(loss: str, layers: str) -> re.Pattern[str]:
    try:
        return re.compile(layers)
    except re.error as error:
        raise ConfigError(
            f"The loss '{loss}': `layers` should be a regular expression; found {layers!r} ({error})."
        ) from error


def _activations(
    loss: str,
    layers: re.Pattern[str],
    logits: Float[Tensor, "batch time vocabulary"],
    labels: Labels,
    batch_metadata: Mapping[str, Any],
) -> list[Float[Tensor, "targets _"]]:
    """Each layer's activations at the target positions, in at least fp32."""
    refuse_soft(loss, labels)
    collected: Mapping[str, Tensor] = batch_metadata.get("activations") or {}
    if not collected:
        raise ConfigError(
            f"The loss '{loss}' needs activations: batch_metadata has no 'activations'. Add a hook that collects "
            "them: hooks: [{name: collect_activations}]."
        )
    names = [name for name in collected if layers.fullmatch(name)]
    if not names:
        raise ConfigError(
            f"The loss '{loss}': no collected layer matches '{layers.pattern}'. Collected: {', '.join(collected)}."
        )
    for name in names:
        if collected[name].ndim != 3 or collected[name].shape[:2] != labels.shape:
            raise ConfigError(
                f"The loss '{loss}': the activations of '{name}' have the shape {tuple(collected[name].shape)}; they must "
                f"be [batch, time, features] with {tuple(labels.shape)} as batch and time."
            )
    # `select` treats the features as a vocabulary: it picks the target positions and converts them to fp32, as it does logits.
    return [select(loss, collected[name], labels).logits.to(logits.device) for name in names]

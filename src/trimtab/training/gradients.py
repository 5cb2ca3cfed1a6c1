"""Gradient transforms that ship. Each changes the accumulated gradients in place, before the trainer's own clipping."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from trimtab.random import Streams
from trimtab.training.hook import GradientTransform


class Identity(GradientTransform):
    """Leaves the gradient as it is."""


class Clip(GradientTransform):
    """Scales each parameter's gradient so that its own norm stays within a bound (the trainer's `clip` bounds all of it)."""

    def __init__(
        self, *, norm: Annotated[float, Field(gt=0, description="bound on each parameter's gradient norm")] = 1.0
    ) -> None:
        self.norm = norm

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Scale in place."""
        for gradient in gradients.values():
            gradient.mul_((self.norm / (gradient.norm() + 1e-6)).clamp(max=1.0))


class Noise(GradientTransform):
    """Adds Gaussian noise whose norm is a share of each gradient's (cf. Neelakantan et al. 2015)."""

    def __init__(
        self, *, scale: Annotated[float, Field(ge=0, description="noise norm as a share of the gradient's norm")] = 0.01
    ) -> None:
        self.scale = scale

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Add noise in place, drawn from the run's `noise` stream."""
        for gradient in gradients.values():
            noise = torch.randn(gradient.shape, generator=generator).to(gradient)
            gradient.add_(noise * (self.scale * gradient.norm() / gradient.numel() ** 0.5))


class SubspaceProjection(GradientTransform):
    """Projects each matrix's gradient onto a fixed random subspace of its rows (cf. Gur-Ari et al. 2018; Zhao et al. 2024).

    The basis Q (rows × rank, orthonormal) is drawn once from the run's `noise` stream: G becomes Q Qᵀ G.
    """

    def __init__(
        self, *, rank: Annotated[int, Field(ge=1, description="dimensions kept of each matrix's rows")] = 32
    ) -> None:
        self.rank = rank
        self._bases: dict[str, Tensor] = {}

    def setup(self, model: nn.Module, streams: Streams) -> None:
        """Draw a basis for each matrix; a function of the seed alone, so it is not in the checkpoint."""
        for index, (name, parameter) in enumerate(model.named_parameters()):
            if parameter.ndim == 2 and parameter.shape[0] > self.rank:
                generator = streams.at("noise", -1, index)
                drawn = torch.randn(parameter.shape[0], self.rank, generator=generator, dtype=torch.float64)
                self._bases[name] = torch.linalg.qr(drawn)[0].to(parameter)

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Project in place."""
        for name, basis in self._bases.items():
            if name in gradients:
                gradients[name].copy_(basis @ (basis.T @ gradients[name]))

"""Gradient transforms that ship. Each changes the accumulated gradients in place, before the trainer's own clipping."""

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from trimtab.random import Streams
from trimtab.training.loop.hook import GradientTransform


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


class AdaGC(GradientTransform):
    """Clips each parameter's gradient against the running average of its own clipped norms (Wang et al. 2025, arXiv 2502.11034).

    In the first `warmup` steps the whole gradient is clipped to the norm `absolute`, and each parameter's average γ is the
    smallest of its clipped norms. From then on a parameter's gradient is clipped to `relative` · γ, and γ moves to the
    clipped norm with the factor 1 - `beta`. The trainer's own clipping comes after it: set `episode.clip` to null to compare.
    """

    def __init__(
        self,
        *,
        relative: Annotated[float, Field(ge=1, description="how far over its average a norm may lie")] = 1.05,
        absolute: Annotated[float, Field(gt=0, description="bound on the global norm while warming up")] = 1.0,
        beta: Annotated[float, Field(ge=0, lt=1, description="weight of the past in the average")] = 0.98,
        warmup: Annotated[int, Field(ge=1, description="steps before a parameter is held to its own average")] = 100,
    ) -> None:
        self.relative, self.absolute, self.beta, self.warmup = relative, absolute, beta, warmup
        self.steps = 0
        self.averages: dict[str, float] = {}

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Clip in place."""
        norms = dict(zip(gradients, torch.stack(torch._foreach_norm(list(gradients.values()))).tolist(), strict=True))
        whole = math.hypot(*norms.values())
        if not math.isfinite(whole):
            return  # the step is skipped; nothing of it enters the averages
        self.steps += 1
        for name, gradient in gradients.items():
            norm, average = norms[name], self.averages.get(name, math.inf)
            if self.steps <= self.warmup:
                factor = min(self.absolute / whole, 1.0) if whole else 1.0
                self.averages[name] = min(average, factor * norm)
            else:
                factor = min(self.relative * average / norm, 1.0) if norm else 1.0
                self.averages[name] = self.beta * average + (1 - self.beta) * factor * norm
            if factor < 1.0:
                gradient.mul_(factor)

    def state_dict(self) -> dict[str, Any]:
        """The averages and how many steps they are of."""
        return {"steps": self.steps, "averages": self.averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the memory to what `state_dict` gave."""
        self.steps, self.averages = state["steps"], state["averages"]


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

"""The built-in gradient transforms. Each changes the accumulated gradients in place, before the trainer clips them."""

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
    """Bounds the norm of each parameter's gradient; the trainer's `clip` bounds the norm of all of them together."""

    def __init__(
        self, *, norm: Annotated[float, Field(gt=0, description="bound on each parameter's gradient norm")] = 1.0
    ) -> None:
        self.norm = norm

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Scale the gradients in place."""
        for gradient in gradients.values():
            gradient.mul_((self.norm / (gradient.norm() + 1e-6)).clamp(max=1.0))


class AdaGC(GradientTransform):
    """Clips each parameter's gradient by the running average of its own clipped norms (Wang et al. 2025, arXiv 2502.11034).

    In the first `warmup` steps the whole gradient is clipped to the norm `absolute`, and each parameter's average γ is the
    smallest of its clipped norms. From then on a parameter's gradient is clipped to `relative` · γ, and γ moves to the
    clipped norm with the factor 1 - `beta`. The trainer clips afterwards: set `episode.clip` to null to use this clipping alone.
    """

    def __init__(
        self,
        *,
        relative: Annotated[float, Field(ge=1, description="largest norm, as a multiple of its average")] = 1.05,
        absolute: Annotated[float, Field(gt=0, description="bound on the global norm while warming up")] = 1.0,
        beta: Annotated[float, Field(ge=0, lt=1, description="weight of the past in the average")] = 0.98,
        warmup: Annotated[int, Field(ge=1, description="steps before a parameter is clipped by its own average")] = 100,
    ) -> None:
        self.relative, self.absolute, self.beta, self.warmup = relative, absolute, beta, warmup
        self.steps = 0
        self.averages: dict[str, float] = {}

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Clip the gradients in place."""
        norms = dict(zip(gradients, torch.stack(torch._foreach_norm(list(gradients.values()))).tolist(), strict=True))
        total = math.hypot(*norms.values())
        if not math.isfinite(total):
            return  # the trainer skips the step, so its norms must not enter the averages
        self.steps += 1
        for name, gradient in gradients.items():
            norm, average = norms[name], self.averages.get(name, math.inf)
            if self.steps <= self.warmup:
                factor = min(self.absolute / total, 1.0) if total else 1.0
                self.averages[name] = min(average, factor * norm)
            else:
                factor = min(self.relative * average / norm, 1.0) if norm else 1.0
                self.averages[name] = self.beta * average + (1 - self.beta) * factor * norm
            if factor < 1.0:
                gradient.mul_(factor)

    def state_dict(self) -> dict[str, Any]:
        """The averages and the number of steps so far."""
        return {"steps": self.steps, "averages": self.averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the state to what `state_dict` returned."""
        self.steps, self.averages = state["steps"], state["averages"]


class GradientNoiseInjection(GradientTransform):
    """Adds Gaussian noise to each parameter's gradient, of a norm relative to the gradient's (cf. Neelakantan et al. 2015)."""

    def __init__(
        self, *, scale: Annotated[float, Field(ge=0, description="noise norm as a share of the gradient's norm")] = 0.01
    ) -> None:
        self.scale = scale

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Add the noise in place; `generator` is the run's `noise` stream at this step."""
        add_noise(gradients, self.scale, generator)


def add_noise(gradients: dict[str, Tensor], scale: float, generator: torch.Generator) -> None:
    """Add Gaussian noise to each gradient in place, with an expected norm of about `scale` times the gradient's."""
    for gradient in gradients.values():
        noise = torch.randn(gradient.shape, generator=generator).to(gradient)
        gradient.add_(noise * (scale * gradient.norm() / gradient.numel() ** 0.5))


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
        """Draw a basis for each matrix. It depends on the seed alone, so checkpoints do not hold it."""
        for index, (name, parameter) in enumerate(model.named_parameters()):
            if parameter.ndim == 2 and parameter.shape[0] > self.rank:
                generator = streams.at("noise", -1, index)
                drawn = torch.randn(parameter.shape[0], self.rank, generator=generator, dtype=torch.float64)
                self._bases[name] = torch.linalg.qr(drawn)[0].to(parameter)

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> None:
        """Project the gradients in place."""
        for name, basis in self._bases.items():
            if name in gradients:
                gradients[name].copy_(basis @ (basis.T @ gradients[name]))

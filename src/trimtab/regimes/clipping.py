"""Adaptive clipping of the global gradient norm, from two papers, as baselines for other controllers."""

import bisect
import math
from typing import Annotated, ClassVar

from pydantic import Field

from trimtab.config import EpisodeConfig
from trimtab.regimes.controller import Controller, Decision
from trimtab.regimes.state import RegimeState


class AutoClip(Controller):
    """Clips to a percentile of all gradient norms so far, this step's included (Seetharaman et al. 2020, arXiv 2007.14469).

    The percentile is interpolated linearly. Norms that are not finite do not enter the history.
    """

    remembered: ClassVar = ("norms",)

    def __init__(
        self,
        *,
        percentile: Annotated[float, Field(gt=0, le=100, description="percentile of the history to clip to")] = 10.0,
    ) -> None:
        self.percentile = percentile
        self.norms: list[float] = []  # sorted

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The clipping bound of this step."""
        if not math.isfinite(state.grad_norm):
            return None
        bisect.insort(self.norms, state.grad_norm)
        place = self.percentile / 100 * (len(self.norms) - 1)
        low = math.floor(place)
        high = min(low + 1, len(self.norms) - 1)
        bound = self.norms[low] + (self.norms[high] - self.norms[low]) * (place - low)
        return Decision(f"percentile {self.percentile:g} of {len(self.norms)} gradient norms", clip=max(bound, 1e-12))


class ZClip(Controller):
    """Clips a gradient norm far above its running mean (Kumar et al. 2025, arXiv 2504.02507).

    Mean μ and variance σ² are exponential averages with the factor `alpha`, initialised from the first `warmup` norms. A norm g
    whose score s = (g - μ) / σ is above `z` is clipped to μ + σ · z² / s (the paper's reciprocal clipping), and the clipped norm
    enters the averages. At all other steps the episode's own bound applies.
    """

    remembered: ClassVar = ("warm", "mean", "variance")

    def __init__(
        self,
        *,
        alpha: Annotated[float, Field(gt=0, lt=1, description="weight of the past in the averages")] = 0.97,
        z: Annotated[float, Field(gt=0, description="z-score above which a norm is clipped")] = 2.5,
        warmup: Annotated[int, Field(ge=2, description="norms that the averages begin with")] = 25,
    ) -> None:
        self.alpha, self.z, self.warmup = alpha, z, warmup
        self.warm: list[float] = []
        self.mean = self.variance = math.nan

    def update(self, state: RegimeState, episode_config: EpisodeConfig) -> Decision | None:
        """The clipping bound of this step if the norm is an outlier, else None."""
        norm = state.grad_norm
        if not math.isfinite(norm):
            return None
        if math.isnan(self.mean):
            self.warm.append(norm)
            if len(self.warm) == self.warmup:
                self.mean = math.fsum(self.warm) / self.warmup
                self.variance = math.fsum((value - self.mean) ** 2 for value in self.warm) / self.warmup
                self.warm = []
            return None
        sigma = math.sqrt(self.variance)
        score = (norm - self.mean) / max(sigma, 1e-12)
        decision = None
        if score > self.z:
            norm = self.mean + sigma * self.z**2 / score
            usual = math.inf if episode_config.clip is None else episode_config.clip
            decision = Decision(f"the gradient norm's z-score is {score:.2f}", clip=max(min(norm, usual), 1e-12))
        self.mean = self.alpha * self.mean + (1 - self.alpha) * norm
        self.variance = self.alpha * self.variance + (1 - self.alpha) * (norm - self.mean) ** 2
        return decision

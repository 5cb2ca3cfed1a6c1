"""Terms on the calibration of the top-1 confidence: they compare tokens of a batch with each other, so they are not additive."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import Selected, select


class MaximumMeanCalibrationError(TokenLoss):
    """MMCE: the square root of the mean of (cᵢ − rᵢ)(cⱼ − rⱼ) exp(−|rᵢ − rⱼ| / width) over all pairs of target tokens.

    r is the top-1 confidence and c is 1 where the top-1 token is right. Dimensionless. The exact value takes n log n operations.

    Source: Kumar et al. 2018, Trainable Calibration Measures for Neural Networks from Kernel Mean Embeddings. A term to add to
    cross-entropy: over many tokens it is 0 at the truth, so it does not move the minimum. It is not an objective alone, since a
    constant prediction can be calibrated too. Not additive: micro-batches are averaged, weighted by their tokens.
    """

    additive = False
    term = True
    bias = (StatedBias("none", weight=0.5),)

    def __init__(
        self,
        *,
        width: Annotated[
            float,
            Field(ge=0.01, description="distance between confidences over which the kernel falls by a factor of e"),
        ] = 0.4,
    ) -> None:
        self.width = width

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; `batch_metadata` is not read."""
        chosen = select("mmce", logits, labels)
        confidence, right = top(chosen)
        # The factors below reach e^(1 / width), which needs double precision; Apple's GPUs have none.
        device = "cpu" if confidence.device.type == "mps" else confidence.device
        r, order = confidence.to(device).double().sort()
        gap = right.to(device)[order].double() - r
        # Σᵢⱼ gᵢ gⱼ e^(−|rᵢ − rⱼ|/w): in order of r each pair splits into a factor of i and one of j.
        before = (gap * (r / self.width).exp()).cumsum(0) - gap * (r / self.width).exp()
        pairs = (gap * gap).sum() + 2 * (gap * (-r / self.width).exp() * before).sum()
        return _unadditive(root(pairs / max(len(r), 1) ** 2), chosen)


class SoftBinnedCalibrationError(TokenLoss):
    """SB-ECE: the calibration error with exponent 2 over soft bins.

    The membership of token i in bin j is the softmax over j of −(rᵢ − ξⱼ)² / temperature, where ξⱼ is the bin's centre. The
    value is the square root of Σⱼ (share of bin j) · (accuracy − confidence in bin j)². Dimensionless.

    Source: Karandikar et al. 2021, Soft Calibration Objectives for Neural Networks, eq. 11. A term to add to
    cross-entropy, no objective alone (see `mmce`). Not additive: micro-batches are averaged, weighted by their tokens.
    """

    additive = False
    term = True
    bias = (StatedBias("none", weight=0.5),)

    def __init__(
        self,
        *,
        bins: Annotated[int, Field(ge=2, description="bins of equal width between 0 and 1")] = 15,
        temperature: Annotated[
            float, Field(gt=0, description="softness of the bins; hard bins in the limit of 0")
        ] = 0.01,
    ) -> None:
        self.bins, self.temperature = bins, temperature

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The term of a batch; `batch_metadata` is not read."""
        chosen = select("soft_binned_ece", logits, labels)
        r, right = top(chosen)
        centres = (torch.arange(self.bins, dtype=r.dtype, device=r.device) + 0.5) / self.bins
        member = (-((r[:, None] - centres) ** 2) / self.temperature).softmax(-1)
        size = member.sum(0)
        # (S/n) (gap/S)² with gap = Σ membership · (right − r): a bin without members adds 0.
        gap = member.T @ (right - r)
        error = (gap**2 / torch.where(size > 0, size, 1.0)).sum() / max(len(r), 1)
        return _unadditive(root(error), chosen)


def top(chosen: Selected) -> tuple[Float[Tensor, " selected"], Float[Tensor, " selected"]]:
    """The top-1 confidence at each position, and whether the top-1 token is the label (1 or 0, without a gradient)."""
    highest, guess = chosen.logits.max(-1)
    return (highest - chosen.logits.logsumexp(-1)).exp(), (guess == chosen.labels).to(chosen.logits.dtype)


def root(value: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The square root, with gradient 0 where the value is 0 (or below it by rounding)."""
    positive = value > 0
    return torch.where(positive, torch.where(positive, value, 1.0).sqrt(), 0.0 * value)


def _unadditive(value: Float[Tensor, ""], chosen: Selected) -> LossOutput:
    weight = torch.tensor(float(len(chosen.labels)), dtype=chosen.logits.dtype, device=chosen.logits.device)
    return {"loss": value.to(weight), "weight": weight, "aux": {}}

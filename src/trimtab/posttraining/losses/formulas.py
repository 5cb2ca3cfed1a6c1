"""The formulas of the objectives on preference pairs, on plain tensors.

a and b are log π/π_ref of the chosen and the rejected answer, Δ = a − b, and the values are one per pair. `Pairs` has what an
objective may read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Objective = Literal["sigmoid", "conservative", "robust", "hinge", "ipo", "apo_zero", "apo_down", "simpo", "orpo"]
WITHOUT_REFERENCE: tuple[Objective, ...] = ("simpo", "orpo")
"""The objectives that need no reference model."""
WITH_FLIPS: tuple[Objective, ...] = ("conservative", "robust")
"""The objectives that assume a share of flipped labels."""

Values = Float[Tensor, " pairs"]


@dataclass(frozen=True)
class Settings:
    """β, the assumed share of flipped labels ε, and SimPO's margin γ."""

    beta: float = 0.1
    flip: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True)
class Pairs:
    """The log probabilities of the answers of some pairs, and of the reference where there is one.

    `chosen`, `rejected` are sums over tokens of log π; `mean_chosen`, `mean_rejected` means over tokens. `a`, `b` are sums of
    log π/π_ref, or per-token means of it where the objective is normalised by length.
    """

    chosen: Values
    rejected: Values
    mean_chosen: Values
    mean_rejected: Values
    a: Values
    b: Values


def sigmoid(pairs: Pairs, settings: Settings) -> Values:
    """−log σ(βΔ) (DPO: Rafailov et al. 2023, arXiv 2305.18290)."""
    return -functional.logsigmoid(settings.beta * (pairs.a - pairs.b))


def conservative(pairs: Pairs, settings: Settings) -> Values:
    """−(1 − ε) log σ(βΔ) − ε log σ(−βΔ): the mean over labels flipped with probability ε (cDPO: Mitchell 2023)."""
    logits = settings.beta * (pairs.a - pairs.b)
    return -(1 - settings.flip) * functional.logsigmoid(logits) - settings.flip * functional.logsigmoid(-logits)


def robust(pairs: Pairs, settings: Settings) -> Values:
    """[−(1 − ε) log σ(βΔ) + ε log σ(−βΔ)] / (1 − 2ε): unbiased under flips (Chowdhury et al. 2024, arXiv 2403.00409)."""
    logits = settings.beta * (pairs.a - pairs.b)
    loss = -(1 - settings.flip) * functional.logsigmoid(logits) + settings.flip * functional.logsigmoid(-logits)
    return loss / (1 - 2 * settings.flip)


def hinge(pairs: Pairs, settings: Settings) -> Values:
    """max(0, 1 − βΔ) (SLiC on log ratios: Zhao et al. 2023, arXiv 2305.10425)."""
    return torch.relu(1 - settings.beta * (pairs.a - pairs.b))


def ipo(pairs: Pairs, settings: Settings) -> Values:
    """(a − b − 1/(2β))², a and b per-token means (IPO: Azar et al. 2023, arXiv 2310.12036)."""
    return (pairs.a - pairs.b - 1 / (2 * settings.beta)).square()


def apo_zero(pairs: Pairs, settings: Settings) -> Values:
    """1 − σ(βa) + σ(βb): raises the chosen and lowers the rejected answer (D'Oosterlinck et al. 2024, arXiv 2408.06266)."""
    return 1 - torch.sigmoid(settings.beta * pairs.a) + torch.sigmoid(settings.beta * pairs.b)


def apo_down(pairs: Pairs, settings: Settings) -> Values:
    """σ(βa) + 1 − σ(βΔ): lowers both answers, the rejected one more (D'Oosterlinck et al. 2024, arXiv 2408.06266)."""
    return torch.sigmoid(settings.beta * pairs.a) + 1 - torch.sigmoid(settings.beta * (pairs.a - pairs.b))


def simpo(pairs: Pairs, settings: Settings) -> Values:
    """−log σ(β(mean log π_chosen − mean log π_rejected) − γ) (SimPO: Meng et al. 2024, arXiv 2405.14734)."""
    return -functional.logsigmoid(settings.beta * (pairs.mean_chosen - pairs.mean_rejected) - settings.margin)


def orpo(pairs: Pairs, settings: Settings) -> Values:
    """−mean log π_chosen − β log σ(log odds ratio), odds p/(1 − p) with log p the per-token mean (ORPO).

    Source: Hong et al. 2024, arXiv 2403.07691. The first term is a mean over pairs of per-token means.
    """
    ratio = _log_odds(pairs.mean_chosen) - _log_odds(pairs.mean_rejected)
    return -pairs.mean_chosen - settings.beta * functional.logsigmoid(ratio)


def _log_odds(log_p: Values) -> Values:
    """log(p / (1 − p)), finite also where p is 1."""
    below = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)
    return below - torch.log(-torch.expm1(below))


FORMULAS: dict[Objective, Callable[[Pairs, Settings], Values]] = {
    "sigmoid": sigmoid,
    "conservative": conservative,
    "robust": robust,
    "hinge": hinge,
    "ipo": ipo,
    "apo_zero": apo_zero,
    "apo_down": apo_down,
    "simpo": simpo,
    "orpo": orpo,
}

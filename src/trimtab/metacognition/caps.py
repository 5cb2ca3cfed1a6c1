"""The mathematics of caps: how long thoughts last, what a cap costs on average, and which cap is the best.

Caps are token counts 0 = c_0 < c_1 < ... < c_J. A hazard η_j is the chance that a thought that lasted longer than c_{j-1} ends by
c_j; hence S_j = Π_{i≤j} (1 - η_i) of all thoughts last longer than c_j.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def check_caps(caps: tuple[int, ...]) -> None:
    """Refuse caps that do not begin at 0 or do not increase.

    Raises:
        ValueError: one sentence that names the key.
    """
    if len(caps) < 2 or caps[0] != 0 or any(a >= b for a, b in zip(caps, caps[1:], strict=False)):
        raise ValueError(f"caps: they must begin with 0 and increase, with at least two of them, but are {list(caps)}")


def survival(hazards: Float[Tensor, "... bins"]) -> Float[Tensor, "... caps"]:
    """S_0 = 1, S_1, ..., S_J, from the logits of the hazards."""
    log_s = functional.logsigmoid(-hazards).cumsum(-1)
    return functional.pad(log_s, (1, 0)).exp()


def expected_use(hazards: Float[Tensor, "... bins"], caps: Int[Tensor, " caps"]) -> Float[Tensor, "... caps"]:
    """The expected number of thought tokens under each cap: Σ_{i≤j} (c_i - c_{i-1}) S_{i-1}.

    A thought counts to the end of its bin.
    """
    spent = survival(hazards)[..., :-1] * caps.diff().to(hazards.dtype)
    return functional.pad(spent.cumsum(-1), (1, 0))


def confidence(logits: Float[Tensor, "... caps"]) -> Float[Tensor, "... caps"]:
    """The chance of a right answer under each cap, F_j = 1 - Π_{i≤j} (1 - λ_i), which never falls as the cap grows."""
    return -torch.expm1(functional.logsigmoid(-logits).cumsum(-1))


def best_cap(
    confidence: Float[Tensor, "... caps"], use: Float[Tensor, "... caps"], caps: Int[Tensor, " caps"], price: float
) -> Int[Tensor, "..."]:
    """The index of the cap with the highest F_j - price · use_j / c_J; of equal ones the lowest."""
    return (confidence - price * use / caps[-1].to(use.dtype)).argmax(-1)


def length_loss(
    hazards: Float[Tensor, "rows bins"],
    caps: Int[Tensor, " caps"],
    length: Int[Tensor, " rows"],
    ended: Bool[Tensor, " rows"],
) -> Float[Tensor, " rows"]:
    """-log likelihood of each thought's length.

    A thought that has `ended` by itself after `length` tokens ended in the first bin up to a cap of at least that. Of one that
    was cut it is known that it lasted past every cap below `length`, and so it is of one that ended after the last cap.
    """
    upper = caps[1:]
    within = ended & (length <= upper[-1])
    place = torch.searchsorted(upper, length.contiguous()).clamp(max=len(upper) - 1)
    bins = torch.arange(len(upper), device=hazards.device)
    lasted = torch.where(within[:, None], bins < place[:, None], upper < length[:, None])
    total = -(functional.logsigmoid(-hazards) * lasted).sum(-1)
    event = -functional.logsigmoid(hazards).gather(-1, place[:, None])[:, 0]
    return total + torch.where(within, event, 0.0)

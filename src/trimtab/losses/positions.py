"""The asked positions of a batch in a row, and means over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from trimtab.config import ConfigError
from trimtab.losses.module import IGNORE, Labels, LossOutput


@dataclass(frozen=True)
class Selected:
    """Positions of a batch in a row: their logits in at least fp32, their labels, and where they stood."""

    logits: Float[Tensor, "selected vocabulary"]
    labels: Int[Tensor, " selected"]
    index: Int[Tensor, " selected"]

    def of(self, values: Shaped[Tensor, "batch time *rest"]) -> Shaped[Tensor, "selected *rest"]:
        """The entries of a tensor [batch, time, ...] at these positions, on their device."""
        return values.flatten(0, 1).to(self.logits.device)[self.index]

    def log_p(self) -> Float[Tensor, " selected"]:
        """log p(label) at each position."""
        return self.at(self.labels[:, None])[:, 0]

    def at(self, ids: Int[Tensor, "selected some"]) -> Float[Tensor, "selected some"]:
        """log p of some tokens at each position, without a vocabulary-sized copy of the log-probabilities."""
        return self.logits.gather(-1, ids) - self.logits.logsumexp(-1, keepdim=True)


def select(
    loss: str,
    logits: Float[Tensor, "batch time vocabulary"],
    labels: Labels,
    where: Bool[Tensor, "batch time"] | None = None,
) -> Selected:
    """The asked positions, or those of `where`. Only these are copied, and only these get a gradient.

    Raises `ConfigError`, naming the `loss`, for soft labels.
    """
    refuse_soft(loss, labels)
    where = labels != IGNORE if where is None else where.to(labels.device)
    index = where.flatten().nonzero()[:, 0]
    rows = logits.flatten(0, 1)
    if len(index) < len(rows):
        rows = rows.index_select(0, index)
    if rows.dtype in (torch.bfloat16, torch.float16):
        rows = rows.float()
    return Selected(rows, labels.flatten()[index], index)


def refuse_soft(loss: str, labels: Labels) -> None:
    """Raise `ConfigError` for labels that are distributions: only cross-entropy takes those."""
    if labels.is_floating_point():
        raise ConfigError(
            f"The loss '{loss}' takes token ids as labels; this task gives a distribution over the vocabulary at each "
            "position. Use cross_entropy, or give the task's distribution as target_ids and target_weights to soft_tokens."
        )


def mean(
    values: Float[Tensor, " n"],
    weights: Float[Tensor, " n"] | None = None,
    aux: dict[str, float] | None = None,
) -> LossOutput:
    """Σ weights · values / Σ weights (weights of 1 unless given); 0, with a graph, where they add up to 0."""
    if weights is None:
        weight = torch.tensor(float(len(values)), dtype=values.dtype, device=values.device)
        total = values.sum()
    else:
        weight = weights.sum()
        total = (weights * values).sum()
    return {"loss": total / torch.where(weight > 0, weight, 1.0), "weight": weight, "aux": aux or {}}


def tag_values(
    loss: str, tag: str, labels: Int[Tensor, "batch time"], batch_metadata: Mapping[str, Any]
) -> Float64[Tensor, "batch time"]:
    """A tag in [0, 1] of every position, on the CPU: one number an example, or (a tensor) one a position.

    Raises `ConfigError` that names the loss and the tag where the batch has none, or one that is not such a number.
    """
    found = batch_metadata.get(tag)
    if found is None:
        known = ", ".join(sorted(batch_metadata)) or "nothing"
        raise ConfigError(
            f"The loss '{loss}' needs the tag '{tag}' of every example; the batch's metadata has {known}. Use a task that "
            "gives it, or name another one as the loss's `tag`."
        )
    if not isinstance(found, Tensor):
        found = _numbers(loss, tag, found)
    values = found.detach().cpu().double()
    if values.ndim == 1:
        values = values[:, None].expand(labels.shape) if len(values) == len(labels) else values
    if values.shape != labels.shape:
        raise ConfigError(
            f"The loss '{loss}': the tag '{tag}' has the shape {tuple(found.shape)}; it must be one number an example "
            f"({labels.shape[0]}) or one a position {tuple(labels.shape)}."
        )
    outside = ~((values >= 0) & (values <= 1)) & (labels != IGNORE).cpu()
    if bool(outside.any()):
        raise ConfigError(
            f"The loss '{loss}': the tag '{tag}' must lie between 0 and 1; found {float(values[outside][0])}. Scale it in "
            "the task."
        )
    # What stands at positions that are not asked is nobody's business, NaN included.
    return torch.where((labels != IGNORE).cpu(), values, 0.0)


def _numbers(loss: str, tag: str, found: Sequence[Any]) -> Tensor:
    for example, value in enumerate(found):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ConfigError(
                f"The loss '{loss}': example {example} of the batch has the tag '{tag}' {value!r}; every example needs a "
                "number between 0 and 1."
            )
    return torch.tensor([float(value) for value in found], dtype=torch.float64)


def of_role(
    roles: Sequence[int] | None, labels: Int[Tensor, "batch time"], batch_metadata: Mapping[str, Any]
) -> Bool[Tensor, "batch time"]:
    """Where the label's `role` is one of `roles`; everywhere where `roles` is None or the batch carries no roles."""
    role = batch_metadata.get("role")
    if roles is None or role is None:
        return torch.ones_like(labels, dtype=torch.bool)
    return torch.isin(role.to(labels.device), torch.tensor(list(roles), device=labels.device))

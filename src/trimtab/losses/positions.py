"""The target positions of a batch, flattened, and means over them."""

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
    """Some positions of a batch, flattened: their logits in at least fp32, their labels, and their index in batch · time."""

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
        """log p of some tokens at each position, without a copy of all log probabilities."""
        return self.logits.gather(-1, ids) - self.logits.logsumexp(-1, keepdim=True)


def select(
    loss: str,
    logits: Float[Tensor, "batch time vocabulary"],
    labels: Labels,
    where: Bool[Tensor, "batch time"] | None = None,
) -> Selected:
    """The target positions, or those where `where` is true. Only these are copied and get a gradient.

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
    """Raise `ConfigError` for labels that are distributions; only cross-entropy accepts them."""
    if labels.is_floating_point():
        raise ConfigError(
            f"The loss '{loss}' takes token ids as labels; the labels of this task are distributions over the vocabulary. "
            "Use cross_entropy, or give the task's distribution as target_ids and target_weights to soft_tokens."
        )


def mean(
    values: Float[Tensor, " n"],
    weights: Float[Tensor, " n"] | None = None,
    aux: dict[str, float] | None = None,
) -> LossOutput:
    """Σ weights · values / Σ weights (weights of 1 unless given).

    If the weights add up to 0, the result is 0, still connected to the autograd graph.
    """
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
    """A tag in [0, 1] for every position, on the CPU, from one number per example or a tensor of one per position.

    Raises `ConfigError`, naming the loss and the tag, where the batch has no such tag or a value is not a number in [0, 1].
    """
    tags = batch_metadata.get(tag)
    if tags is None:
        known = ", ".join(sorted(batch_metadata)) or "nothing"
        raise ConfigError(
            f"The loss '{loss}' needs the tag '{tag}' of every example; the batch's metadata has {known}. Use a task that "
            "provides it, or set the loss's `tag` to another key."
        )
    if not isinstance(tags, Tensor):
        tags = _numbers(loss, tag, tags)
    values = tags.detach().cpu().double()
    if values.ndim == 1:
        values = values[:, None].expand(labels.shape) if len(values) == len(labels) else values
    if values.shape != labels.shape:
        raise ConfigError(
            f"The loss '{loss}': the tag '{tag}' has the shape {tuple(tags.shape)}; it must be one number per example "
            f"({labels.shape[0]}) or one per position {tuple(labels.shape)}."
        )
    outside = ~((values >= 0) & (values <= 1)) & (labels != IGNORE).cpu()
    if bool(outside.any()):
        raise ConfigError(
            f"The loss '{loss}': the tag '{tag}' must lie between 0 and 1; found {float(values[outside][0])}. Scale it in "
            "the task."
        )
    # Values at positions without a target are ignored, NaN included.
    return torch.where((labels != IGNORE).cpu(), values, 0.0)


def _numbers(loss: str, tag: str, tags: Sequence[Any]) -> Tensor:
    for example, value in enumerate(tags):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ConfigError(
                f"The loss '{loss}': the tag '{tag}' of example {example} of the batch is {value!r}; it must be a "
                "number between 0 and 1."
            )
    return torch.tensor([float(value) for value in tags], dtype=torch.float64)


def of_role(
    roles: Sequence[int] | None, labels: Int[Tensor, "batch time"], batch_metadata: Mapping[str, Any]
) -> Bool[Tensor, "batch time"]:
    """Where the label's `role` is one of `roles`; everywhere if `roles` is None or the batch has no roles."""
    role = batch_metadata.get("role")
    if roles is None or role is None:
        return torch.ones_like(labels, dtype=torch.bool)
    return torch.isin(role.to(labels.device), torch.tensor(list(roles), device=labels.device))

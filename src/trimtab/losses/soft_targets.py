"""Soft targets as K tokens with weights per position: near a number, in a class of equal tokens, or given by the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from trimtab.config import ConfigError
from trimtab.losses.number_vocabulary import NumberVocabulary
from trimtab.losses.positions import Selected

Kernel = Literal["gaussian", "exponential"]


@dataclass(frozen=True)
class SoftTargets:
    """A distribution over K tokens at each position, in rows that add up to 1, or to 0 where the label stays hard."""

    ids: Int[Tensor, "selected some"]
    weights: Float[Tensor, "selected some"]


class NumberNeighbours:
    """The `count` number tokens nearest to each number token, itself the first, and their distances."""

    def __init__(self, token_values: Float64[Tensor, " vocabulary"] | None, count: int, loss: str) -> None:
        self.numbers = NumberVocabulary(token_values, loss)
        values = self.numbers.values
        rows, columns = [], []
        for place in range(len(values)):
            distance = (values - values[place]).abs()
            distance[place] = -1.0  # the token itself comes first, before others of the same value
            nearest = distance.argsort(stable=True)[:count]
            rows.append(self.numbers.ids[nearest])
            columns.append(distance[nearest].clamp(min=0))
        self.ids: Int[Tensor, "numbers some"] = torch.stack(rows)
        self.distances: Float64[Tensor, "numbers some"] = torch.stack(columns)

    def targets(self, chosen: Selected, kernel: Kernel, width: float | Float[Tensor, " selected"]) -> SoftTargets:
        """exp(−d² / 2 width²) or exp(−d / width) over the neighbours of each label, normalised; width 0 is the label alone."""
        dtype, device = chosen.logits.dtype, chosen.logits.device
        number = self.numbers.index_of(chosen.labels)
        is_number = (number >= 0)[:, None]
        d = self.distances.to(dtype).to(device)[number.clamp(min=0)]
        w = torch.as_tensor(width, dtype=dtype, device=device).expand(len(d))[:, None].clamp(min=1e-6)
        exponent = -0.5 * (d / w) ** 2 if kernel == "gaussian" else -d / w
        weights = torch.where(is_number, exponent.softmax(-1), 0.0)
        return SoftTargets(self.ids.to(device)[number.clamp(min=0)], weights)


class TokenClasses:
    """Classes of tokens that mean the same: a label's target is spread evenly over its class.

    Raises `ConfigError` for a text that no token has, or that is in two classes.
    """

    def __init__(self, classes: Sequence[Sequence[str]], token_texts: Sequence[str] | None, loss: str) -> None:
        if token_texts is None:
            raise ConfigError(
                f"The loss '{loss}' needs the text of each token (token_texts), which comes with the run's tokenizer; none "
                "was given."
            )
        ids_of: dict[str, list[int]] = {}
        for token, text in enumerate(token_texts):
            ids_of.setdefault(text, []).append(token)
        texts = [text for members in classes for text in members]
        for text in texts:
            if text not in ids_of:
                raise ConfigError(f"The loss '{loss}': `classes` names {text!r}, but this tokenizer has no such token.")
            if texts.count(text) > 1:
                raise ConfigError(
                    f"The loss '{loss}': {text!r} is in `classes` more than once; classes may not overlap."
                )
        members = [[token for text in texts for token in ids_of[text]] for texts in classes]
        most = max(map(len, members))
        self.class_of = torch.full((len(token_texts),), -1)
        self.ids = torch.zeros(len(members), most, dtype=torch.int64)
        self.weights = torch.zeros(len(members), most, dtype=torch.float64)
        for number, ids in enumerate(members):
            self.class_of[ids] = number
            self.ids[number, : len(ids)] = torch.tensor(ids)
            self.weights[number, : len(ids)] = 1 / len(ids)

    def targets(self, chosen: Selected) -> SoftTargets:
        """The class of each label; no target where the label is in none."""
        device = chosen.logits.device
        known = chosen.labels < len(self.class_of)
        place = torch.where(known, self.class_of.to(device)[chosen.labels.clamp(max=len(self.class_of) - 1)], -1)
        weights = self.weights.to(chosen.logits.dtype).to(device)[place.clamp(min=0)]
        return SoftTargets(self.ids.to(device)[place.clamp(min=0)], torch.where((place >= 0)[:, None], weights, 0.0))


def given_targets(chosen: Selected, batch_metadata: Mapping[str, Any], loss: str) -> SoftTargets:
    """The batch's own `target_ids` and `target_weights`; raises `ConfigError` where they are missing or no distribution."""
    missing = [key for key in ("target_ids", "target_weights") if batch_metadata.get(key) is None]
    if missing:
        raise ConfigError(
            f"The loss '{loss}' with targets: set needs {' and '.join(missing)} in the batch. Use a task that gives target "
            "sets, or other targets."
        )
    ids = chosen.of(batch_metadata["target_ids"])
    weights = chosen.of(batch_metadata["target_weights"]).to(chosen.logits.dtype)
    total = weights.sum(-1)
    wrong = ((total - 1).abs() > 1e-3) & (total != 0) | (weights < 0).any(-1)
    if bool(wrong.any()):
        raise ConfigError(
            f"The loss '{loss}': a row of target_weights is {weights[wrong][0].tolist()}; the weights of a set are at least "
            "0 and add up to 1, or are all 0 where there is none."
        )
    return SoftTargets(ids, weights)


def divergence(
    chosen: Selected,
    soft: SoftTargets,
    share: float,
    allowed: Bool[Tensor, " selected"],
) -> tuple[Float[Tensor, " selected"], Bool[Tensor, " selected"]]:
    """KL(q ‖ p) in nats at each position with q = (1 − share) · label + share · soft target, and where q is soft.

    q is the label alone where soft targets are not `allowed` or there is none. No further tensor of the size of the vocabulary
    is made.
    """
    softened = allowed & (share * soft.weights.sum(-1) > 0)
    weights = torch.where(softened[:, None], share * soft.weights, 0.0)
    # The label has a column of its own, which takes the set's weight for it, so that each token of q is in one column.
    same = soft.ids == chosen.labels[:, None]
    label = 1 - weights.sum(-1) + torch.where(same, weights, 0.0).sum(-1)
    q = torch.cat([label[:, None], torch.where(same, 0.0, weights)], dim=-1)
    log_p = chosen.at(torch.cat([chosen.labels[:, None], soft.ids], dim=-1))
    # Where q is 0 the term is 0, also for a token of probability 0.
    terms = torch.where(q > 0, q * (torch.where(q > 0, q, 1.0).log() - torch.where(q > 0, log_p, 0.0)), 0.0)
    return terms.sum(-1), softened

"""Which tokens are numbers, and which number each one is."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from trimtab.config import ConfigError
from trimtab.losses.module import IGNORE, Labels
from trimtab.losses.positions import Selected, of_role, refuse_soft


class NumberTokens:
    """The number tokens of a vocabulary in the order of their values.

    Made from a plain table of the value that each token spells on its own (NaN: none); no tokenizer is read or changed.
    `ids` and `values` have an entry a number token. Raises `ConfigError`, naming the `loss`, without a table or numbers.
    """

    def __init__(self, token_values: Float64[Tensor, " vocabulary"] | None, loss: str) -> None:
        if token_values is None:
            raise ConfigError(
                f"The loss '{loss}' needs the number that each token spells (token_values), which comes with the run's "
                "tokenizer; none was given."
            )
        self.loss = loss
        table = token_values.detach().cpu().double()
        numbers = table.isfinite().nonzero()[:, 0]
        if len(numbers) == 0:
            raise ConfigError(
                f"The loss '{loss}' needs tokens that are numbers; this tokenizer has none. Use one that keeps digits."
            )
        order = table[numbers].argsort(stable=True)
        self.ids: Int[Tensor, " numbers"] = numbers[order]
        self.values: Float64[Tensor, " numbers"] = table[self.ids]
        self.place = torch.full((len(table),), -1)
        self.place[self.ids] = torch.arange(len(self.ids))

    def where(
        self,
        labels: Labels,
        batch_metadata: Mapping[str, Any],
        roles: Sequence[int] | None = None,
    ) -> Bool[Tensor, "batch time"]:
        """The asked positions whose label is a number token, of one of the `roles` where the batch carries roles."""
        refuse_soft(self.loss, labels)
        found = (labels != IGNORE) & (self.places(labels.clamp(min=0)) >= 0)
        return found & of_role(roles, labels, batch_metadata)

    def places(self, ids: Int[Tensor, "*some"]) -> Int[Tensor, "*some"]:
        """The place of each token among the number tokens, −1 for one that is no number or beyond the table."""
        place = self.place.to(ids.device)
        return torch.where(ids < len(place), place[ids.clamp(max=len(place) - 1)], -1)

    def log_p(self, chosen: Selected) -> Float[Tensor, "selected numbers"]:
        """The log-probabilities of the number tokens given that the token is a number: they add up to 1 among them."""
        if int(self.ids.max()) >= chosen.logits.shape[-1]:
            raise ConfigError(
                f"The loss '{self.loss}': token {int(self.ids.max())} is a number, but the model has "
                f"{chosen.logits.shape[-1]} tokens only. Tokenizer and model do not belong together."
            )
        return chosen.logits[:, self.ids.to(chosen.logits.device)].log_softmax(-1)

    def values_like(self, tensor: Tensor) -> Float[Tensor, " numbers"]:
        """The values on a tensor's device and in its precision."""
        return self.values.to(tensor.dtype).to(tensor.device)

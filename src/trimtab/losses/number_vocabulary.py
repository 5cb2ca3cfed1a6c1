"""The tokens of a vocabulary that spell numbers, and their values."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from trimtab.config import ConfigError
from trimtab.losses.module import IGNORE, Labels
from trimtab.losses.positions import Selected, of_role, refuse_soft


class NumberVocabulary:
    """The number tokens of a vocabulary, in the order of their values.

    `token_values` is the number that each token spells on its own, NaN where it spells none. `ids` and `values` have one entry
    per number token. Raises `ConfigError` (which names the `loss`) if there are no `token_values` or no token spells a number.
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
                f"The loss '{loss}' needs tokens that are numbers; this tokenizer has none. Use a tokenizer that "
                "has digits or numbers as tokens."
            )
        order = table[numbers].argsort(stable=True)
        self.ids: Int[Tensor, " numbers"] = numbers[order]
        self.values: Float64[Tensor, " numbers"] = table[self.ids]
        self._index = torch.full((len(table),), -1)
        self._index[self.ids] = torch.arange(len(self.ids))

    def where(
        self,
        labels: Labels,
        batch_metadata: Mapping[str, Any],
        roles: Sequence[int] | None = None,
    ) -> Bool[Tensor, "batch time"]:
        """The target positions whose label is a number token, and has one of the `roles` where the batch has roles."""
        refuse_soft(self.loss, labels)
        is_number = (labels != IGNORE) & (self.index_of(labels.clamp(min=0)) >= 0)
        return is_number & of_role(roles, labels, batch_metadata)

    def index_of(self, ids: Int[Tensor, "*some"]) -> Int[Tensor, "*some"]:
        """The index of each token among the number tokens; −1 for a token that is not a number or beyond the table."""
        index = self._index.to(ids.device)
        return torch.where(ids < len(index), index[ids.clamp(max=len(index) - 1)], -1)

    def log_p(self, chosen: Selected) -> Float[Tensor, "selected numbers"]:
        """The log probabilities of the number tokens, given that the token is a number."""
        if int(self.ids.max()) >= chosen.logits.shape[-1]:
            raise ConfigError(
                f"The loss '{self.loss}': token {int(self.ids.max())} is a number, but the model has only "
                f"{chosen.logits.shape[-1]} tokens. Use the tokenizer that the model was made for."
            )
        return chosen.logits[:, self.ids.to(chosen.logits.device)].log_softmax(-1)

    def values_like(self, tensor: Tensor) -> Float[Tensor, " numbers"]:
        """The values on a tensor's device and in its precision."""
        return self.values.to(tensor.dtype).to(tensor.device)

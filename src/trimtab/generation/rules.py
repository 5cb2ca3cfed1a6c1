"""Rules that decide with the model's logits how each row of a batch goes on, such as a budget for its thoughts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Bool, Float, Int
from torch import Tensor


class RowRules(Protocol):
    """The rules of the rows of one batch, in the order of the rows in memory. A row that has ended counts on as padding."""

    def logits(
        self,
        logits: Float[Tensor, "rows vocab"],
        cache: Any,
        window: Int[Tensor, "rows read"],
        mask: Bool[Tensor, "rows all"] | None,
    ) -> Float[Tensor, "rows vocab"]:
        """The logits to choose the next token by; -inf for a token that may not come.

        `cache` is the model's own, or None where the model reads the whole `window`, of which `mask` says what is real.
        """
        ...

    def add(self, tokens: Int[Tensor, " rows"]) -> None:
        """These tokens were chosen."""
        ...

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Only these rows are left."""
        ...

    def report(self, row: int) -> Mapping[str, Any]:
        """What is known of a row that has ended, for its `Completion`."""
        ...


@dataclass(frozen=True)
class NewRows:
    """Prompts that are about to be continued together: their places among all prompts, and their tokens, padded on the left."""

    prompts: Sequence[int]
    window: Int[Tensor, "rows prompt"]
    real: Bool[Tensor, "rows prompt"]
    tokens: int
    """How many tokens each may be continued by."""
    stop: Collection[int] = ()
    """The tokens that end a row."""


MakeRules = Callable[[NewRows], RowRules]

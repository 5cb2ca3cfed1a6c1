"""What a loss says of itself: how the confidence that it is minimised by differs from the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Bias = Literal["none", "over", "under"]
"""The confidence at the minimum: the truth's (a proper loss), above it, or below it."""


@dataclass(frozen=True)
class Claim:
    """The bias that the propriety test must find for a loss with some parameters.

    `weight`: the loss is tested as a term of this weight beside cross-entropy; None tests it alone. `conditional`: it
    determines only the distribution among the number tokens, so only that is looked at.
    """

    bias: Bias
    parameters: Mapping[str, Any] = field(default_factory=dict)
    weight: float | None = None
    conditional: bool = False

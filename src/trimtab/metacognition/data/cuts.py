"""Which caps the thoughts of training examples get."""

from typing import Annotated

from pydantic import Field

from trimtab.config import Frozen
from trimtab.random import derive_seed


class Cuts(Frozen):
    """The shares of thoughts that are whole, left out, and cut; every cap up to the longest is as likely as the next."""

    none: Annotated[float, Field(ge=0, le=1, description="share of thoughts that are left out (a cap of 0)")] = 0.25
    cut: Annotated[float, Field(ge=0, le=1, description="share of thoughts that are cut; the rest is whole")] = 0.25
    longest: Annotated[int, Field(ge=1, description="largest cap in tokens")] = 36

    def draw(self, seed: int, position: int) -> int | None:
        """The cap of the training example at a position."""
        share = derive_seed(seed, "data", "cut", position) / (1 << 63)
        if share < self.none:
            return 0
        if share < self.none + self.cut:
            return 1 + derive_seed(seed, "data", "cap", position) % self.longest
        return None

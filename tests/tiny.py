"""A small model as a user would write it: no `initialise`, no `generator`, dropout from torch's global generator."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn


class TinyModel(nn.Module):
    """An embedding, one residual block, and a head."""

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        width: Annotated[int, Field(ge=2, description="width")] = 16,
        dropout: Annotated[float, Field(ge=0, lt=1, description="dropout")] = 0.1,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))])
        self.head = nn.Linear(width, vocabulary)
        self.context = context

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        x = self.embed(input_ids)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)

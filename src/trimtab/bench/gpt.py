"""A small GPT in the usual style (nanoGPT, minGPT, tutorials), made of torch's own layers.

The architecture is exactly that of `Decoder` with its defaults, so both can start from the same weights.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class ReferenceAttention(nn.Module):
    """Causal self-attention with torch's fused function."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.residual_dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        """The output of the branch, after dropout."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).split(width, dim=2)
        q = q.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
        k = k.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
        v = v.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
        dropout = self.dropout if self.training else 0.0
        y = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(batch, length, width)
        result: Tensor = self.residual_dropout(self.output(y))
        return result


class ReferenceBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, ff: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.attention = ReferenceAttention(width, heads, dropout)
        self.mlp_norm = nn.LayerNorm(width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, ff, bias=False), nn.GELU(), nn.Linear(ff, width, bias=False), nn.Dropout(dropout)
        )

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        """The residual stream after the block."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


class ReferenceModel(nn.Module):
    """A GPT with learned positions and a tied head."""

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        layers: int = 4,
        width: int = 256,
        heads: int = 4,
        ff: int = 1024,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(ReferenceBlock(width, heads, ff, dropout) for _ in range(layers))
        self.final_norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.apply(_initialise)
        self.head.weight = self.token_embedding.weight

    def forward(self, input_ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the token after each position."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.dropout(self.token_embedding(input_ids) + self.position_embedding(positions))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.final_norm(x))
        return logits

    @torch.no_grad()
    def load_decoder(self, decoder: nn.Module) -> None:
        """Copy the weights of a `Decoder` of the same shape (learned positions, LayerNorm, GELU, tied head, no biases).

        Raises:
            ValueError: the two have different parameters.
        """
        renamed = {
            "token_embedding": "token_embedding.weight",
            "position_embedding": "position_embedding.weight",
        }
        source = {}
        for name, value in decoder.named_parameters():
            target = renamed.get(name, name.replace(".mlp.up.", ".mlp.0.").replace(".mlp.down.", ".mlp.2."))
            source[target] = value
        own = dict(self.named_parameters())
        if own.keys() != source.keys():
            raise ValueError(f"the architectures differ in: {sorted(own.keys() ^ source.keys())}")
        for name, parameter in own.items():
            parameter.copy_(source[name])


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, mean=0.0, std=0.02)

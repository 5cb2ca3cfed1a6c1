"""The decoder-only transformer."""

import math
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trimtab.models import dropout as masking
from trimtab.models.attention_core import allowed_keys
from trimtab.models.block import Block, KeyValues, Pass
from trimtab.models.layers import LayerNorm, Linear, RMSNorm, make_norm
from trimtab.models.ngrams import ABSENT, NgramEmbedding
from trimtab.models.positions import position_ids, rotation, sinusoidal
from trimtab.models.presets import PRESETS


class Cache:
    """What `Decoder.extend` keeps of the tokens read so far: keys and values by block, and the last tokens, for n-grams."""

    def __init__(self, blocks: int, capacity: int) -> None:
        self.blocks = [KeyValues(capacity) for _ in range(blocks)]
        self.recent: Tensor | None = None

    @property
    def length(self) -> int:
        """The number of positions read, padding included."""
        return self.blocks[0].length

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Remove all other rows of the batch."""
        for entry in self.blocks:
            entry.keep(rows)
        if self.recent is not None:
            self.recent = self.recent[rows]


class Decoder(nn.Module):
    """A decoder-only transformer language model (Vaswani et al. 2017; GPT-2's pre-norm form, Radford et al. 2019).

    The defaults are a 3M-parameter character model: learned absolute positions, LayerNorm, exact GELU, a tied head, dropout
    on the embeddings, the attention weights and both residual branches.

    `compute_dtype` is a run-time setting: the precision of matrix products and activations (None: that of the parameters). With
    fp32 parameters and bf16 products, the residual stream and the norms stay fp32; logits are computed in bf16 and returned as
    fp32.

    Dropout in train mode uses the generator given to `forward`. Without one it uses the model's fallback generator, which starts
    with seed 0 and is not part of the saved state, so such a run cannot be replayed. The global generator is never used.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        layers: Annotated[int, Field(ge=1, description="number of blocks")] = 4,
        width: Annotated[int, Field(ge=1, description="size of the residual stream")] = 256,
        heads: Annotated[int, Field(ge=1, description="attention heads; must divide width")] = 4,
        ff: Annotated[int | None, Field(ge=1, description="hidden size of the MLP; null means 4 * width")] = None,
        dropout: Annotated[float, Field(ge=0, lt=1, description="dropout probability, everywhere")] = 0.1,
        position: Annotated[
            Literal["learned", "rope", "sinusoidal"], Field(description="position encoding")
        ] = "learned",
        norm: Annotated[Literal["layer", "rms"], Field(description="LayerNorm or RMSNorm")] = "layer",
        activation: Annotated[
            Literal["gelu", "swiglu", "relu2"], Field(description="activation of the MLP; swiglu has a third matrix")
        ] = "gelu",
        kv_heads: Annotated[
            int | None, Field(ge=1, description="number of key and value heads, a divisor of heads; null means heads")
        ] = None,
        qk_norm: Annotated[bool, Field(description="RMS-normalise queries and keys per head")] = False,
        tied: Annotated[bool, Field(description="whether the head shares the token embedding's matrix")] = True,
        bias: Annotated[bool, Field(description="whether linear layers and LayerNorm have biases")] = False,
        ngrams: Annotated[
            int, Field(ge=1, le=16, description="add embeddings of the last 2 to this many tokens; 1 adds none")
        ] = 1,
        ngram_buckets: Annotated[
            int, Field(ge=1, description="vectors for each length of n-gram; a hash assigns n-grams to them")
        ] = 16_384,
        preset: Annotated[str | None, Field(description="a named size; other keys override its values")] = None,
    ) -> None:
        super().__init__()
        del preset  # `expand` has already filled in its values
        self.vocabulary, self.context, self.layers, self.width = vocabulary, context, layers, width
        self.heads, self.position, self.dropout = heads, position, dropout
        self.compute_dtype: torch.dtype | None = None
        self.token_embedding = nn.Parameter(torch.empty(vocabulary, width))
        self.position_embedding = nn.Parameter(torch.empty(context, width)) if position == "learned" else None
        self.ngram_embedding = NgramEmbedding(width, ngrams, ngram_buckets) if ngrams > 1 else None
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                kv_heads or heads,
                ff or 4 * width,
                norm=norm,
                activation=activation,
                qk_norm=qk_norm,
                bias=bias,
            )
            for _ in range(layers)
        )
        self.final_norm = make_norm(norm, width, bias=bias)
        self.head = None if tied else Linear(width, vocabulary, bias=False)
        self._fallback = torch.Generator().manual_seed(0)
        if not self.token_embedding.is_meta:
            self.initialise(torch.Generator().manual_seed(0))

    @classmethod
    def expand(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """`parameters` with the values of the preset for missing keys, and with `ff` if it is null.

        Raises:
            ValueError: there is no such preset.
        """
        name = parameters.get("preset")
        if name is not None and name not in PRESETS:
            raise ValueError(f"preset: there is no preset '{name}'; the presets are {', '.join(PRESETS)}")
        filled = {**(PRESETS[name].parameters if name is not None else {}), **parameters}
        width = filled.get("width", 256)
        if filled.get("ff") is None and isinstance(width, int):  # validation reports a wrong type
            filled["ff"] = 4 * width
        return filled

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse parameters that do not fit together.

        Raises:
            ValueError: one sentence that names the key.
        """
        width, heads = parameters.get("width", 256), parameters.get("heads", 4)
        kv_heads = parameters.get("kv_heads")
        if width % heads:
            raise ValueError(f"heads: a width of {width} is not divisible by {heads} heads")
        if kv_heads is not None and heads % kv_heads:
            raise ValueError(f"kv_heads: {heads} heads are not divisible by {kv_heads} key and value heads")
        tables = parameters.get("ngrams", 1) - 1
        if tables and width % tables:
            raise ValueError(
                f"ngrams: n-grams of 2 to {tables + 1} tokens share the width, but {width} is not divisible by {tables}"
            )
        position = parameters.get("position", "learned")
        if position == "rope" and (width // heads) % 2:
            raise ValueError(f"heads: rope needs an even head size, but {width} / {heads} is {width // heads}")
        if position == "sinusoidal" and width % 2:
            raise ValueError(f"width: sinusoidal positions need an even width, but it is {width}")

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Initialise every parameter as GPT-2 does: matrices N(0, 0.02²), those that write to the residual stream divided by
        √(2 · layers), biases 0, norm weights 1.

        Values are drawn in fp32 on the CPU in the order of `named_parameters`, so they depend on `generator` only and not on the
        model's device.
        """
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            residual = name.endswith(("attention.output.weight", "mlp.down.weight"))
            std = 0.02 / math.sqrt(2 * self.layers) if residual else 0.02
            values = torch.empty(parameter.shape, dtype=torch.float32).normal_(0.0, std, generator=generator)
            parameter.copy_(values)

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the token after each position.

        `attention_mask` is true (or 1) at real tokens; padding may be on either side, and positions are counted over real tokens.
        Logits at padded positions are meaningless. `generator` draws the dropout masks in train mode.

        Raises:
            ValueError: the sequence is longer than `context`.
        """
        length = input_ids.shape[1]
        if length > self.context:
            raise ValueError(f"a sequence of {length} tokens does not fit a context of {self.context}")
        real = None if attention_mask is None else attention_mask.bool()
        masks = None
        if self.training and self.dropout > 0:
            masks = masking.Masks(self.dropout, self._fallback if generator is None else generator, input_ids.device)
        positions = position_ids(length, real, input_ids.device)
        shared = self._shared(positions, None if real is None else allowed_keys(real), masks)
        x = self._embed(input_ids, positions, contiguous=real is None)
        if self.ngram_embedding is not None:
            x = x + self.ngram_embedding(_marked(input_ids, real), length)
        x = masking.dropout(x, masks)
        for block in self.blocks:
            x = block(x, shared)
        return self._logits(x)

    def empty_cache(self, capacity: int | None = None) -> Cache:
        """An empty cache for `extend`. `capacity` is the number of positions it can hold, padding included; by default the
        context.
        """
        return Cache(self.layers, capacity or self.context)

    def extend(
        self,
        input_ids: Int[Tensor, "batch new"],
        cache: Cache,
        attention_mask: Bool[Tensor, "batch all"] | Int[Tensor, "batch all"] | None = None,
        *,
        last: bool = False,
    ) -> Float[Tensor, "batch some vocab"]:
        """The logits after `input_ids`, which follow the tokens in `cache` and are added to it.

        Without dropout, in either mode. `attention_mask` covers the cached tokens and `input_ids` and is true at real tokens,
        over which positions are counted; without it all are real. `last` gives the logits of the last position only,
        [batch, 1, vocab].

        Raises:
            ValueError: a row has more real tokens than `context`.
        """
        length, cached = input_ids.shape[1], cache.length
        real = None if attention_mask is None else attention_mask.bool()
        longest = cached + length if real is None else int(real.sum(dim=1).max())
        if longest > self.context:
            raise ValueError(f"{longest} tokens do not fit a context of {self.context}")
        seen = torch.ones(length, cached + length, dtype=torch.bool, device=input_ids.device).tril(cached)[None, None]
        if real is None:
            positions = position_ids(length, None, input_ids.device, start=cached)
        else:
            positions = position_ids(cached + length, real, input_ids.device)[:, cached:]
            itself = torch.eye(cached + length, dtype=torch.bool, device=input_ids.device)[cached:]
            seen = (seen & real[:, None, None, :]) | itself
        shared = self._shared(positions, seen, None)
        x = self._embed(input_ids, positions, contiguous=real is None)
        if self.ngram_embedding is not None:
            tokens = _marked(input_ids, None if real is None else real[:, cached:])
            tokens = tokens if cache.recent is None else torch.cat((cache.recent, tokens), dim=1)
            cache.recent = tokens[:, 1 - self.ngram_embedding.longest :]
            x = x + self.ngram_embedding(tokens, length)
        for block, entry in zip(self.blocks, cache.blocks, strict=True):
            x = block(x, shared, entry)
        return self._logits(x[:, -1:] if last else x)

    def keep_rows(self, cache: Cache, rows: Int[Tensor, " kept"]) -> None:
        """Keep only `rows` of a cache."""
        cache.keep(rows)

    def _shared(self, positions: Tensor, allowed: Tensor | None, masks: masking.Masks | None) -> Pass:
        """The data that all blocks share in one pass."""
        stored = self.token_embedding.dtype
        tables = rotation(positions, self.width // self.heads, stored) if self.position == "rope" else None
        return Pass(self.compute_dtype or stored, allowed, tables, masks)

    def _embed(self, input_ids: Tensor, positions: Tensor, *, contiguous: bool) -> Tensor:
        """The input of the first block, before dropout. `contiguous`: positions increase by one."""
        x = functional.embedding(input_ids, self.token_embedding)
        if self.position_embedding is not None:
            if contiguous:
                start = int(positions[0, 0])
                return x + self.position_embedding[start : start + positions.shape[1]]
            return x + functional.embedding(positions, self.position_embedding)
        if self.position == "sinusoidal":
            return x + sinusoidal(positions, self.width, x.dtype)
        return x

    def _logits(self, x: Tensor) -> Tensor:
        """Final norm and head."""
        norm: LayerNorm | RMSNorm = self.final_norm
        hidden = norm(x, self.compute_dtype)
        if self.head is not None:
            return self.head(hidden).to(x.dtype)  # type: ignore[no-any-return]
        return functional.linear(hidden, self.token_embedding.to(hidden.dtype)).to(x.dtype)


def _marked(input_ids: Tensor, real: Tensor | None) -> Tensor:
    """The ids, with `ABSENT` in place of padding."""
    return input_ids if real is None else input_ids.masked_fill(~real, ABSENT)

"""A frozen causal language model that reads packed segments, and what its targets cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trimtab.boundary import foreign
from trimtab.config.model_paths import AllowHub, ModelPath, check_hub, expanded_path
from trimtab.config.offline import offline_import
from trimtab.errors import ConfigError
from trimtab.memory.engine import attention
from trimtab.memory.engine.layout import Branch, segments
from trimtab.memory.engine.norms import replace_norms
from trimtab.memory.engine.packing import Packing, pack
from trimtab.models.pretrained.model import Pretrained

_TARGETS = 512
"""Targets whose logits are in memory at once."""


@dataclass(frozen=True, eq=False)
class Cost:
    """What each target of a packing costs: `nll` in nats, and `margin`, its logit minus the best other one."""

    nll: Float[Tensor, " targets"]
    margin: Float[Tensor, " targets"]


class FrozenNetwork:
    """A pretrained causal language model whose weights never change, in one precision throughout.

    `embedding` is [tokens, d], `width` d, `scale` the standard deviation of the embedding's entries, `fingerprint` that of the
    weights, `context` the longest sequence that the model reads. In bf16 the residual stream is bf16 too, as transformers run
    a model that is loaded in bf16.

    Raises:
        ConfigError: the model cannot be driven by vectors in place of embeddings, or packed segments would not give what the
            model gives for each alone (checked when it is made).
    """

    def __init__(
        self,
        *,
        path: ModelPath,
        allow_hub: AllowHub = False,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        loaded = Pretrained(path=path, adapt=(), allow_hub=allow_hub)
        network, fingerprint = self.weighted(loaded)
        self.name, self.fingerprint, self.context = str(loaded.source), fingerprint, loaded.context
        self.dtype, self.device = dtype, torch.device(device)
        self.network = network.to(device=device, dtype=dtype).requires_grad_(False).eval()
        table, head = network.get_input_embeddings(), network.get_output_embeddings()
        if not isinstance(table, nn.Embedding) or not isinstance(head, nn.Linear):
            raise self._refusal("it has no token embedding or no linear head that can be reached")
        self.embedding: Tensor = read_rows_of(table)
        self.head: Tensor = head.weight
        self.head_bias: Tensor | None = head.bias  # a linear map may have none, whatever its type says
        self.width = int(self.embedding.shape[1])
        self.scale = float(self.embedding.float().std())
        attention.register()
        with foreign(ConfigError, lambda reason: str(self._refusal(f"it cannot read packed segments: {reason}"))):
            replace_norms(network)
            apart = self._distance_to_the_library()
        if not apart < (0.2 if self.dtype in (torch.bfloat16, torch.float16) else 1e-3):
            raise self._refusal(
                "packed segments or vectors in place of tokens give other logits than the library gives for each text alone "
                f"({apart:.2g} standard deviations apart)"
            )

    def _refusal(self, why: str) -> ConfigError:
        return ConfigError(
            f"model: memory vectors cannot be read by the {type(self.network).__name__} in {self.name}: {why}. Use a model with "
            "plain causal attention and a linear head (Llama, Qwen2, Mistral, GPT-2 and their like)."
        )

    @classmethod
    def expand(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """`parameters` with an imported model's name replaced by its folder."""
        return expanded_path(parameters)

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse a hub id that is not allowed.

        Raises:
            ValueError: one sentence that names the key.
        """
        check_hub(parameters)

    def weighted(self, loaded: Pretrained) -> tuple[Any, str]:
        """The network with the weights that it keeps, and their fingerprint: those of the files."""
        return loaded.network, loaded.fingerprint

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights, all frozen."""
        return iter(self.network.parameters())

    def inputs(
        self, packing: Packing, modes: Float[Tensor, "rows d"], vectors: Float[Tensor, "candidates k d"]
    ) -> Float[Tensor, "positions d"]:
        """What a packing reads: embeddings, modes and vectors in their places, in the network's precision."""
        rows = self.embedding.new_empty(packing.positions, self.width)
        rows[packing.token_places] = self.embedding[packing.tokens]
        rows[packing.mode_places] = modes.to(self.dtype)[packing.mode_rows]
        rows[packing.vector_places] = vectors.reshape(-1, self.width).to(self.dtype)[packing.vector_rows]
        return rows

    def read(self, packing: Packing, inputs: Float[Tensor, "positions d"]) -> Float[Tensor, "targets d"]:
        """The last hidden states of the positions that predict targets."""
        with self._attending(attention.NAME):
            out = self.network.base_model(
                inputs_embeds=inputs[None], position_ids=packing.places, use_cache=False, packing=packing
            )
        hidden: Tensor = out.last_hidden_state[0].index_select(0, packing.asked)
        return hidden

    @torch.no_grad()
    def cost(
        self, packing: Packing, hidden: Float[Tensor, "targets d"], *, gradient: bool
    ) -> tuple[Cost, Float[Tensor, "targets d"] | None]:
        """What the targets cost and, with `gradient`, that of Σ weight · nll on the hidden states."""
        nll, margin, pulled = [], [], []
        for start in range(0, len(hidden), _TARGETS):
            part = slice(start, start + _TARGETS)
            logits = self.logits(hidden[part])
            logits = logits if logits.dtype == torch.float64 else logits.float()
            index = packing.targets[part, None]
            target = logits.gather(1, index)
            best_other = logits.scatter(1, index, float("-inf")).amax(1, keepdim=True)
            top = torch.maximum(target, best_other)
            shares = logits.sub_(top).exp_()
            total = shares.sum(1, keepdim=True)
            nll.append((total.log() + top - target)[:, 0])
            margin.append((target - best_other)[:, 0])
            if gradient:
                weights = packing.weights[part, None].to(shares.dtype)
                shares.div_(total).scatter_add_(1, index, torch.full_like(target, -1.0)).mul_(weights)
                pulled.append(shares.to(self.dtype) @ self.head)
        return Cost(torch.cat(nll), torch.cat(margin)), torch.cat(pulled) if gradient else None

    def differentiated(
        self, packing: Packing, modes: Float[Tensor, "rows d"], vectors: Float[Tensor, "candidates k d"]
    ) -> tuple[Cost, Float[Tensor, "positions d"]]:
        """What the targets of a packing cost, and the gradient of Σ weight · nll on what it reads."""
        inputs = self.inputs(packing, modes, vectors).requires_grad_()
        hidden = self.read(packing, inputs)
        cost, pulled = self.cost(packing, hidden, gradient=True)
        torch.autograd.backward(hidden, pulled)
        assert inputs.grad is not None
        return cost, inputs.grad

    def logits(self, hidden: Float[Tensor, "rows d"]) -> Float[Tensor, "rows tokens"]:
        """The head's logits."""
        found = hidden @ self.head.t()
        return found if self.head_bias is None else found + self.head_bias

    @contextmanager
    def reading_plainly(self) -> Iterator[Any]:
        """The network with the library's own attention, one sequence a row.

        Its plain one, whose products are ours, so that bf16 rounds alike; in fp64 the fused one, as the plain one takes its
        softmax in fp32 there.
        """
        with self._attending("sdpa" if self.dtype == torch.float64 else "eager"):
            yield self.network

    @contextmanager
    def _attending(self, implementation: str) -> Iterator[None]:
        config = self.network.config
        before = config._attn_implementation
        config._attn_implementation = implementation
        try:
            yield
        finally:
            config._attn_implementation = before

    @torch.no_grad()
    def _distance_to_the_library(self) -> float:
        """How far three things are from what the library gives for each text alone, in standard deviations of the logits:
        segments packed together, rows of the embedding in place of tokens, and those read in two parts with a cache."""
        tokens = int(self.embedding.shape[0])
        asked = [
            (Branch(0, tuple((7 * i + 3) % tokens for i in range(5))),),
            (Branch(1, tuple((5 * i + 2) % tokens for i in range(9))),),
        ]
        generator = torch.Generator().manual_seed(0)
        made = torch.randn(5, self.width, generator=generator).to(self.device) * self.scale
        modes, vectors = made[:2], made[2:].repeat(2, 1, 1)
        packing = pack([segments(branches, 3, (1, 1), "two_sequences") for branches in asked], 3, self.device)
        inputs = self.inputs(packing, modes, vectors)
        found = [self.logits(self.read(packing, inputs))]
        expected, start = [], 0
        with self.reading_plainly() as network:
            for (branch,) in asked:
                length = 3 + len(branch.ids)
                logits = network(inputs_embeds=inputs[None, start : start + length], use_cache=False).logits[0]
                expected.append(logits[3:])
                start += length
            ids = torch.tensor([asked[1][0].ids], device=self.device)
            expected += [network(input_ids=ids, use_cache=False).logits[0]] * 2
            rows = self.embedding[ids]
            found.append(network(inputs_embeds=rows, use_cache=False).logits[0])
            cache = offline_import("transformers").DynamicCache(config=network.config)
            found += [
                network(inputs_embeds=part, past_key_values=cache, use_cache=True).logits[0]
                for part in (rows[:, :4], rows[:, 4:])
            ]
        wanted = torch.cat(expected)
        return float((torch.cat(found).double() - wanted.double()).abs().max() / wanted.double().std())


@torch.no_grad()
def read_rows_of(table: nn.Embedding) -> Tensor:
    """What an embedding gives for every token: its weight, unless the library scales what it reads from it (Gemma)."""
    if type(table) is nn.Embedding:
        return table.weight
    tokens = torch.arange(table.num_embeddings, device=table.weight.device)
    return torch.cat([table(tokens[start : start + 4096]) for start in range(0, len(tokens), 4096)])


def row_margins(packing: Packing, cost: Cost, rows: int) -> Float[Tensor, " rows"]:
    """The smallest margin over the targets of each candidate's judged branches; above 0 greedy decoding, given the targets
    before, says every one of them."""
    found = cost.margin.new_full((rows,), float("inf"))
    judged = packing.judged
    return found.scatter_reduce(0, packing.target_rows[judged], cost.margin[judged], "amin")


def branch_losses(packing: Packing, cost: Cost, rows: int, branches: int) -> Float[Tensor, "rows branches"]:
    """The mean NLL of every candidate's branches in nats a token; NaN where a candidate has no such branch."""
    place = packing.target_rows * branches + packing.target_branches
    total = cost.nll.double().new_zeros(rows * branches).index_add_(0, place, cost.nll.double())
    count = torch.bincount(place, minlength=rows * branches)
    return (total / count).view(rows, branches)


def vector_gradient(
    packing: Packing, gradient: Float[Tensor, "positions d"], shape: torch.Size
) -> Float[Tensor, "candidates k d"]:
    """The gradient on the vectors from that on the inputs: the sum over the segments that hold them, in fp32 or better."""
    dtype = torch.float64 if gradient.dtype == torch.float64 else torch.float32
    flat = torch.zeros(shape[0] * shape[1], shape[2], dtype=dtype, device=gradient.device)
    return flat.index_add_(0, packing.vector_rows, gradient[packing.vector_places].to(dtype)).view(shape)

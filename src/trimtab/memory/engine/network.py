"""A frozen causal language model that reads packed segments, and the losses of their targets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trimtab.boundary import foreign
from trimtab.config.model_paths import AllowHub, ModelPath, ModelPathComponent
from trimtab.config.offline import offline_import
from trimtab.errors import ConfigError
from trimtab.memory.engine import attention
from trimtab.memory.engine.layout import Branch, segments
from trimtab.memory.engine.norms import replace_norms
from trimtab.memory.engine.packing import Packing, pack
from trimtab.models.pretrained.model import Pretrained

_TARGETS = 512
"""The number of targets whose logits are in memory at once."""


@dataclass(frozen=True, eq=False)
class Cost:
    """Per target of a packing: `nll` in nats, and `margin`, its logit minus the largest other one."""

    nll: Float[Tensor, " targets"]
    margin: Float[Tensor, " targets"]


class FrozenNetwork(ModelPathComponent):
    """A pretrained causal language model with frozen weights, in one precision throughout.

    `embedding` is [tokens, d], `width` is d, `scale` the standard deviation of the embedding's entries, `fingerprint` that of the
    weights, `context` the longest sequence that the model reads. In bf16 the residual stream is bf16 too, as in transformers
    when a model is loaded in bf16.

    Raises:
        ConfigError: the model cannot read vectors in place of embeddings, or gives other logits for packed segments than for
            each segment alone. Both are checked on construction.
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
        network, fingerprint = self.network_and_fingerprint(loaded)
        self.name, self.fingerprint, self.context = str(loaded.source), fingerprint, loaded.context
        self.dtype, self.device = dtype, torch.device(device)
        self.network = network.to(device=device, dtype=dtype).requires_grad_(False).eval()
        table, head = network.get_input_embeddings(), network.get_output_embeddings()
        if not isinstance(table, nn.Embedding) or not isinstance(head, nn.Linear):
            raise self._refusal("it has no accessible token embedding or linear head")
        self.embedding: Tensor = embedding_rows(table)
        self.head: Tensor = head.weight
        self.head_bias: Tensor | None = head.bias  # a linear map may have none, whatever its type says
        self.width = int(self.embedding.shape[1])
        self.scale = float(self.embedding.float().std())
        attention.register()
        with foreign(ConfigError, lambda reason: str(self._refusal(f"it cannot read packed segments: {reason}"))):
            replace_norms(network)
            difference = self._difference_from_library()
        if not difference < (0.2 if self.dtype in (torch.bfloat16, torch.float16) else 1e-3):
            raise self._refusal(
                "its logits for packed segments, or for vectors in place of tokens, differ from the library's for each text "
                f"(by {difference:.2g} standard deviations)"
            )

    def _refusal(self, why: str) -> ConfigError:
        return ConfigError(
            f"model: the {type(self.network).__name__} in {self.name} cannot read memory vectors: {why}. Use a model with "
            "plain causal attention and a linear head, such as Llama, Qwen2, Mistral or GPT-2."
        )

    def network_and_fingerprint(self, loaded: Pretrained) -> tuple[Any, str]:
        """The network with its final weights, and their fingerprint: by default those of the files."""
        return loaded.network, loaded.fingerprint

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights, all frozen."""
        return iter(self.network.parameters())

    def inputs(
        self, packing: Packing, modes: Float[Tensor, "rows d"], vectors: Float[Tensor, "candidates k d"]
    ) -> Float[Tensor, "positions d"]:
        """The input rows of a packing: token embeddings, modes and vectors, in the network's precision."""
        rows = self.embedding.new_empty(packing.positions, self.width)
        rows[packing.token_places] = self.embedding[packing.tokens]
        rows[packing.mode_places] = modes.to(self.dtype)[packing.mode_rows]
        rows[packing.vector_places] = vectors.reshape(-1, self.width).to(self.dtype)[packing.vector_rows]
        return rows

    def hidden_states(self, packing: Packing, inputs: Float[Tensor, "positions d"]) -> Float[Tensor, "targets d"]:
        """The last hidden states at the positions that predict targets."""
        with self._using_attention(attention.ATTENTION_NAME):
            out = self.network.base_model(
                inputs_embeds=inputs[None], position_ids=packing.position_ids, use_cache=False, packing=packing
            )
        hidden: Tensor = out.last_hidden_state[0].index_select(0, packing.predictors)
        return hidden

    @torch.no_grad()
    def cost(
        self, packing: Packing, hidden: Float[Tensor, "targets d"], *, gradient: bool
    ) -> tuple[Cost, Float[Tensor, "targets d"] | None]:
        """The NLL and margin of the targets and, with `gradient`, the gradient of Σ weight · nll on the hidden states."""
        nll, margin, gradients = [], [], []
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
                gradients.append(shares.to(self.dtype) @ self.head)
        return Cost(torch.cat(nll), torch.cat(margin)), torch.cat(gradients) if gradient else None

    def cost_and_gradient(
        self, packing: Packing, modes: Float[Tensor, "rows d"], vectors: Float[Tensor, "candidates k d"]
    ) -> tuple[Cost, Float[Tensor, "positions d"]]:
        """The NLL and margin of a packing's targets, and the gradient of Σ weight · nll on its inputs."""
        inputs = self.inputs(packing, modes, vectors).requires_grad_()
        hidden = self.hidden_states(packing, inputs)
        cost, gradient = self.cost(packing, hidden, gradient=True)
        torch.autograd.backward(hidden, gradient)
        assert inputs.grad is not None
        return cost, inputs.grad

    def logits(self, hidden: Float[Tensor, "rows d"]) -> Float[Tensor, "rows tokens"]:
        """The head's logits."""
        logits = hidden @ self.head.t()
        return logits if self.head_bias is None else logits + self.head_bias

    @contextmanager
    def library_attention(self) -> Iterator[Any]:
        """The network with an attention implementation of the library, for ordinary batches.

        Uses the "eager" implementation, whose matrix products are those of `packed_attention`, so that bf16 rounds the same. In
        fp64 it uses "sdpa", because "eager" computes the softmax in fp32.
        """
        with self._using_attention("sdpa" if self.dtype == torch.float64 else "eager"):
            yield self.network

    @contextmanager
    def _using_attention(self, implementation: str) -> Iterator[None]:
        config = self.network.config
        before = config._attn_implementation
        config._attn_implementation = implementation
        try:
            yield
        finally:
            config._attn_implementation = before

    @torch.no_grad()
    def _difference_from_library(self) -> float:
        """The largest difference from the library's logits for each text alone, in standard deviations of the logits.

        Compares packed segments, embeddings in place of tokens, and embeddings read in two parts with a key-value cache.
        """
        tokens = int(self.embedding.shape[0])
        branch_lists = [
            (Branch(0, tuple((7 * i + 3) % tokens for i in range(5))),),
            (Branch(1, tuple((5 * i + 2) % tokens for i in range(9))),),
        ]
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(5, self.width, generator=generator).to(self.device) * self.scale
        modes, vectors = drawn[:2], drawn[2:].repeat(2, 1, 1)
        packing = pack([segments(branches, 3, (1, 1), "two_sequences") for branches in branch_lists], 3, self.device)
        inputs = self.inputs(packing, modes, vectors)
        ours = [self.logits(self.hidden_states(packing, inputs))]
        expected, start = [], 0
        with self.library_attention() as network:
            for (branch,) in branch_lists:
                length = 3 + len(branch.ids)
                logits = network(inputs_embeds=inputs[None, start : start + length], use_cache=False).logits[0]
                expected.append(logits[3:])
                start += length
            ids = torch.tensor([branch_lists[1][0].ids], device=self.device)
            expected += [network(input_ids=ids, use_cache=False).logits[0]] * 2
            rows = self.embedding[ids]
            ours.append(network(inputs_embeds=rows, use_cache=False).logits[0])
            cache = offline_import("transformers").DynamicCache(config=network.config)
            ours += [
                network(inputs_embeds=part, past_key_values=cache, use_cache=True).logits[0]
                for part in (rows[:, :4], rows[:, 4:])
            ]
        library = torch.cat(expected).double()
        return float((torch.cat(ours).double() - library).abs().max() / library.std())


@torch.no_grad()
def embedding_rows(table: nn.Embedding) -> Tensor:
    """The embedding of every token: the weight, unless the module scales its output (Gemma)."""
    if type(table) is nn.Embedding:
        return table.weight
    tokens = torch.arange(table.num_embeddings, device=table.weight.device)
    return torch.cat([table(tokens[start : start + 4096]) for start in range(0, len(tokens), 4096)])


def candidate_margins(packing: Packing, cost: Cost, rows: int) -> Float[Tensor, " rows"]:
    """The smallest margin over the targets of each candidate's judged branches.

    If it is above 0, greedy decoding gives every target, each after the targets before it.
    """
    infinite = cost.margin.new_full((rows,), float("inf"))
    judged = packing.judged
    return infinite.scatter_reduce(0, packing.target_rows[judged], cost.margin[judged], "amin")


def branch_losses(packing: Packing, cost: Cost, rows: int, branches: int) -> Float[Tensor, "rows branches"]:
    """The mean NLL of every candidate's branches in nats per token; NaN where a candidate has fewer branches."""
    place = packing.target_rows * branches + packing.target_branches
    total = cost.nll.double().new_zeros(rows * branches).index_add_(0, place, cost.nll.double())
    count = torch.bincount(place, minlength=rows * branches)
    return (total / count).view(rows, branches)


def vector_gradient(
    packing: Packing, gradient: Float[Tensor, "positions d"], shape: torch.Size
) -> Float[Tensor, "candidates k d"]:
    """The gradient on the vectors from that on the inputs: the sum over the segments that hold them, in at least fp32."""
    dtype = torch.float64 if gradient.dtype == torch.float64 else torch.float32
    flat = torch.zeros(shape[0] * shape[1], shape[2], dtype=dtype, device=gradient.device)
    return flat.index_add_(0, packing.vector_rows, gradient[packing.vector_places].to(dtype)).view(shape)

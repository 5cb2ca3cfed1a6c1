"""The model component `metacognitive`: a base model, and a layer that reads and gates it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from trimtab.config import REGISTRIES, ConfigError, NestedComponent
from trimtab.config.registry import accepts
from trimtab.data import Tokenizer
from trimtab.generation.rules import NewRows
from trimtab.generation.sampling import has_cache
from trimtab.metacognition.blocks import blocks_in, changed, check_tags
from trimtab.metacognition.caps import check_caps, expected_use
from trimtab.metacognition.layer import Decision, MetacognitiveLayer
from trimtab.metacognition.rules import Budget, ThinkingRules, check_left_padding
from trimtab.metacognition.state import RowCounts, RowState, ThinkingCache
from trimtab.metacognition.tags import decision_places, tags_of, thinking
from trimtab.metacognition.telemetry import batch_figures
from trimtab.models import ModelOutput, logits_of
from trimtab.random import global_stream


class BaseModel(NestedComponent):
    """The model that the layer reads and gates."""

    kind: ClassVar[str] = "model"

    name: Annotated[str, Field(min_length=1, description="the base model: decoder or pretrained")] = "decoder"


class Metacognitive(nn.Module):
    """A base model with a metacognitive layer.

    At the last opening tag of a row, its decision token, the layer reads the hidden states of all blocks and decides: a plan, how
    long the thought will last, how sure the answer will be under every cap on the thought, and a gate, which multiplies the
    output of one block at the tokens of the thought. No gradient flows from the layer into what it reads. It reads in a pass of
    its own, without dropout and without the gate, over the tokens up to the decision token.

    `forward` returns a `ModelOutput` whose further outputs are a row's, repeated at each position. In generation the decision
    stays with the row (`ThinkingCache`), and `row_rules` hold it to its cap.
    """

    named_outputs = (*Decision._fields, "use", "layer_use", "caps", "thinking", "gated", "decided")
    reads_last_token = False
    batch_figures = staticmethod(batch_figures)

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        tokenizer: Tokenizer,
        base: Annotated[BaseModel, Field(description="the model that is read and gated")] = BaseModel(),  # noqa: B008 - frozen
        caps: Annotated[
            tuple[Annotated[int, Field(ge=0)], ...],
            Field(description="numbers of thought tokens that may be a budget: 0 first, then increasing"),
        ] = (0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36),
        plans: Annotated[int, Field(ge=2, description="number of plans")] = 2,
        proj_dim: Annotated[int, Field(ge=1, description="size of the layer's vectors")] = 64,
        linked_all_layers: Annotated[
            bool, Field(description="whether all blocks share one trunk; otherwise each has its own")
        ] = True,
        agg: Annotated[
            Literal["attention", "mean"], Field(description="how the blocks' vectors become one")
        ] = "attention",
        gate: Annotated[bool, Field(description="whether the layer gates thoughts")] = True,
        gate_open: Annotated[
            bool, Field(description="whether the gate is used; closed, it is there to be opened in a fork")
        ] = True,
        gate_layer: Annotated[
            int | None,
            Field(ge=1, description="the block whose output is gated, counted from 1; null is the middle one"),
        ] = None,
        use_predicted_budget: Annotated[
            bool,
            Field(description="whether generation keeps thoughts to the predicted budget; otherwise they are free"),
        ] = True,
        price: Annotated[
            float, Field(ge=0, description="what a thought to the last cap costs, as a share of a right answer's worth")
        ] = 0.1,
        layer_lr: Annotated[
            float, Field(gt=0, description="learning rate of the layer as a multiple of the optimiser's")
        ] = 1.0,
        answer_room: Annotated[int, Field(ge=1, description="tokens that a budget leaves for the answer")] = 8,
    ) -> None:
        super().__init__()
        self.tags, self.tokenizer = tags_of(tokenizer), tokenizer
        supplied = {"vocabulary": vocabulary, "context": context, "tokenizer": tokenizer}
        self.base: Any = REGISTRIES["model"].build(base.spec, **supplied)
        if hasattr(self.base, "initialise"):  # from torch's global stream, as the layer's own values
            self.base.initialise(torch.Generator().manual_seed(int(torch.randint(1 << 62, ()))))
        if not has_cache(self.base):
            raise ConfigError(f"model.base: '{base.name}' has no cache of keys and values. Use decoder or pretrained.")
        check_tags(self.base, self.tags)
        blocks = self._blocks()
        self.gate_block = (gate_layer or (len(blocks) + 1) // 2) - 1
        if self.gate_block >= len(blocks):
            raise ConfigError(
                f"model.gate_layer is {gate_layer}, but the base model has only {len(blocks)} blocks. Set it to 1 to "
                f"{len(blocks)}, or to null for the middle one."
            )
        if caps[-1] + answer_room + 1 > context:
            raise ConfigError(
                f"model.caps: a thought of {caps[-1]} tokens, its closing tag and an answer of {answer_room} tokens do not fit "
                f"data.context {context}. Set a larger context, smaller caps or a smaller answer_room."
            )
        self.context, self.vocabulary = int(self.base.context), vocabulary
        self.budget = Budget(caps, price, answer_room, predicted=use_predicted_budget)
        self.layer = MetacognitiveLayer(
            blocks=len(blocks),
            width=_width(self.base),
            proj=proj_dim,
            linked=linked_all_layers,
            agg=agg,
            plans=plans,
            caps=len(caps),
            gate=gate,
        )
        if (fingerprint := getattr(self.base, "fingerprint", None)) is not None:
            self.fingerprint = fingerprint
        self.lr_multipliers = {f"base.{name}": lr for name, lr in getattr(self.base, "lr_multipliers", {}).items()}
        self.lr_multipliers |= (
            {f"layer.{name}": layer_lr for name, _ in self.layer.named_parameters()} if layer_lr != 1 else {}
        )
        self._gates = gate and gate_open
        self.drops_rows = getattr(self.base, "drops_rows", True)
        self._takes_generator = accepts(self.base.forward, "generator")

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse caps that are no budgets.

        Raises:
            ValueError: one sentence that names the key.
        """
        check_caps(tuple(parameters["caps"]))

    @staticmethod
    def base_fingerprint(*, base: BaseModel) -> str | None:
        """The fingerprint of the files that the base model begins from; None where there are none."""
        registry = REGISTRIES["model"]
        fingerprint = getattr(registry.load(base.name), "base_fingerprint", None)
        found: str | None = None if fingerprint is None else registry.call(fingerprint, base.spec)
        return found

    def unchanged_weights(self) -> frozenset[str]:
        """The names of the parameters that are in the base model's files and are not trained."""
        names = self.base.unchanged_weights() if hasattr(self.base, "unchanged_weights") else ()
        return frozenset(f"base.{name}" for name in names)

    @property
    def compute_dtype(self) -> torch.dtype | None:
        """The precision of the base model's matrix products; the layer computes in that of its parameters."""
        dtype: torch.dtype | None = self.base.compute_dtype
        return dtype

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype | None) -> None:
        self.base.compute_dtype = dtype

    # --- training ----------------------------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> ModelOutput:
        """Logits, and the decision of each row, as of its last opening tag, at each of its positions.

        `thinking` is true at the tokens of thoughts, `gated` where the gate applied, `decided` in rows with an opening tag; in
        others nothing is gated, and their decisions mean nothing.
        """
        real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        places = decision_places(input_ids, real, self.tags)
        thoughts = thinking(input_ids, real, self.tags)
        after = torch.arange(input_ids.shape[1], device=input_ids.device) > places[:, None]
        gated = thoughts & after & (places >= 0)[:, None] if self._gates else torch.zeros_like(thoughts)
        if self._gates or (self.training and getattr(self.base, "dropout", 1.0) > 0):
            decision = self.layer(self._taps(input_ids, attention_mask, places))
            with self._gating(decision.gate, gated):
                logits = self._base_logits(input_ids, attention_mask, generator)
        else:  # without gate and dropout this pass is the one to read
            taps: dict[int, Tensor] = {}
            with self._tapping(taps, places):
                logits = self._base_logits(input_ids, attention_mask, generator)
            decision = self.layer(_stacked(taps))
        caps = self.budget.tensor(input_ids.device)
        of_rows = {
            **decision._asdict(),
            "use": expected_use(decision.hazards, caps),
            "layer_use": expected_use(decision.layer_hazards, caps),
            "caps": caps.expand(len(input_ids), -1),
        }
        batch, length = input_ids.shape
        outputs = {name: value[:, None].expand(batch, length, *value.shape[1:]) for name, value in of_rows.items()}
        decided = (places >= 0)[:, None].expand(batch, length)
        return ModelOutput(logits, {**outputs, "thinking": thoughts, "gated": gated, "decided": decided})

    def decide(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> tuple[Decision, Bool[Tensor, " batch"]]:
        """The decision of each row at its last opening tag, and which rows have one."""
        real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        places = decision_places(input_ids, real, self.tags)
        return self.layer(self._taps(input_ids, attention_mask, places)), places >= 0

    @torch.no_grad()
    def _taps(
        self, input_ids: Tensor, attention_mask: Tensor | None, places: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch blocks width"]:
        """The outputs of all blocks at some position of each row; tokens after the last of these positions are not read."""
        end = int(places.max()) + 1
        if not end:
            return torch.zeros(len(input_ids), len(self._blocks()), self.layer.width, device=input_ids.device)
        taps: dict[int, Tensor] = {}
        with self._tapping(taps, places):
            mask = None if attention_mask is None else attention_mask[:, :end].bool()
            self.base.extend(input_ids[:, :end], self.base.empty_cache(end), mask, last=True)
        return _stacked(taps)

    def _tapping(self, taps: dict[int, Tensor], places: Int[Tensor, " batch"]) -> Any:
        """A context in which the outputs of all blocks at some position of each row go to `taps`."""
        blocks, rows = self._blocks(), torch.arange(len(places), device=places.device)
        return changed(blocks, {index: _tap(taps, index, rows, places.clamp(min=0)) for index in range(len(blocks))})

    def _base_logits(
        self, input_ids: Tensor, attention_mask: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        if self._takes_generator:
            return logits_of(self.base(input_ids, attention_mask, generator=generator))
        if generator is None:
            return logits_of(self.base(input_ids, attention_mask))
        with global_stream(torch.Generator().manual_seed(generator.initial_seed())):
            return logits_of(self.base(input_ids, attention_mask))

    def _gating(self, gate: Tensor, gated: Tensor) -> Any:
        """A context in which one block's output is multiplied by each row's gate where `gated` says so."""
        if not self._gates:
            return nullcontext()
        return changed(self._blocks(), {self.gate_block: _gate(gate, gated)})

    def _blocks(self) -> nn.ModuleList:
        return blocks_in(self.base)

    # --- generation --------------------------------------------------------------------------------------------------

    def empty_cache(self, capacity: int | None = None) -> ThinkingCache:
        """An empty cache for `extend`."""
        return ThinkingCache(self.base.empty_cache(capacity))

    def extend(
        self,
        input_ids: Int[Tensor, "batch new"],
        cache: ThinkingCache,
        attention_mask: Bool[Tensor, "batch all"] | Int[Tensor, "batch all"] | None = None,
        *,
        last: bool = False,
    ) -> Float[Tensor, "batch some vocab"]:
        """The logits after `input_ids`, which follow the tokens in `cache` and are added to it; without dropout.

        Where the tokens open a thought, the decision is made there and kept in the cache.
        """
        length = input_ids.shape[1]
        mask = None if attention_mask is None else attention_mask.bool()
        if length == 1 and cache.state is not None:
            tokens = input_ids[:, 0].cpu().numpy()
            if not (tokens == self.tags.open).any():
                return self._extended_by_one(input_ids, cache, mask, cache.state, tokens, last=last)
        real = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask[:, -length:]
        places = decision_places(input_ids, real, self.tags)
        if cache.state is None:
            check_left_padding(real)
            cache.state = RowState.fresh(len(input_ids), self.layer.width, input_ids.device)
        state, read, parts = cache.state, 0, []
        before = 0 if mask is None else mask.shape[1] - length
        for end in sorted({int(place) + 1 for place in places.tolist() if place >= 0} | {length}):
            new, part = input_ids[:, read:end], real[:, read:end]
            gated = state.thinking(new, part, self.tags) & (
                torch.arange(read, end, device=new.device) > places[:, None]
            )
            seen = None if mask is None else mask[:, : before + end]
            taps: dict[int, Tensor] = {}
            deciding = places == end - 1
            logits = self._extended(new, cache, seen, gated, taps, deciding, last=last)
            state.read(new, part, self.tags)
            if taps:
                state.decide(self.layer(_stacked(taps)), deciding.cpu().numpy())
            parts.append(logits)
            read = end
        return parts[-1] if last else torch.cat(parts, dim=1)

    def _extended_by_one(
        self,
        new: Int[Tensor, "batch 1"],
        cache: ThinkingCache,
        seen: Tensor | None,
        state: RowState,
        tokens: RowCounts,
        *,
        last: bool,
    ) -> Tensor:
        """`extend` by one token of each row, none of which opens a thought: nothing is decided."""
        within = state.read_one(tokens, self.tags, None if seen is None else seen[:, -1].cpu().numpy())
        if not (self._gates and within.any()):
            return logits_of(self.base.extend(new, cache.inner, seen, last=last))
        gate = state.gate
        if not within.all():
            gate = torch.where(torch.from_numpy(within).to(gate.device)[:, None], gate, 1.0)
        with changed(self._blocks(), {self.gate_block: lambda output: output * gate[:, None].to(output.dtype)}):
            return logits_of(self.base.extend(new, cache.inner, seen, last=last))

    def _extended(
        self,
        new: Tensor,
        cache: ThinkingCache,
        seen: Tensor | None,
        gated: Tensor,
        taps: dict[int, Tensor],
        deciding: Tensor,
        *,
        last: bool,
    ) -> Tensor:
        """The base's logits of some new tokens; the blocks' outputs at the last of them, if a row decides there, go to `taps`."""
        assert cache.state is not None
        changes: dict[int, Callable[[Tensor], Tensor]] = {}
        if self._gates and bool(gated.any()):
            changes[self.gate_block] = _gate(cache.state.gate, gated)
        if bool(deciding.any()):
            rows = torch.arange(len(new), device=new.device)
            at = torch.full((len(new),), new.shape[1] - 1, device=new.device)
            for index in range(len(self._blocks())):
                changes[index] = _both(changes.get(index), _tap(taps, index, rows, at))
        with changed(self._blocks(), changes):
            return logits_of(self.base.extend(new, cache.inner, seen, last=last))

    def keep_rows(self, cache: ThinkingCache, rows: Int[Tensor, " kept"]) -> None:
        """Keep only `rows` of a cache."""
        self.base.keep_rows(cache.inner, rows)
        if cache.state is not None:
            cache.state = cache.state.kept(rows)

    def row_rules(self, rows: NewRows) -> ThinkingRules:
        """Rules that keep the thoughts of these rows to the predicted budget, or only in order where budgets are off."""
        return ThinkingRules(self, rows)


def _width(base: Any) -> int:
    if isinstance(width := getattr(base, "width", None), int):
        return width
    return int(base.network.get_input_embeddings().weight.shape[1])


def _tap(taps: dict[int, Tensor], index: int, rows: Tensor, places: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that keeps a block's output at one position of each row, and returns the output as it is."""

    def keep(output: Tensor) -> Tensor:
        taps[index] = output[rows, places].detach()
        return output

    return keep


def _stacked(taps: dict[int, Tensor]) -> Float[Tensor, "batch blocks width"]:
    return torch.stack([taps[index] for index in sorted(taps)], dim=1)


def _gate(gate: Tensor, gated: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that multiplies a block's output by its row's gate at the gated positions."""

    def multiply(output: Tensor) -> Tensor:
        return torch.where(gated[..., None], output * gate[:, None].to(output.dtype), output)

    return multiply


def _both(first: Callable[[Tensor], Tensor] | None, second: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return second if first is None else lambda output: second(first(output))

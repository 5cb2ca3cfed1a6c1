"""The metacognitive model: what its layer reads, what its gate changes, and that generation agrees with training."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.metacognition.models import CAPS, CLOSE, DECODER, OPEN, TOKENIZER, model, padded, prompts
from trimtab.data import CharacterTokenizer
from trimtab.errors import ConfigError
from trimtab.metacognition.blocks import blocks_in, changed
from trimtab.metacognition.layer import Decision
from trimtab.metacognition.model import BaseModel, Metacognitive
from trimtab.models import ModelOutput

ROWS = torch.tensor([[5, 9, 20, OPEN, 30, 31, 32, CLOSE, 40, 41], [7, 8, 11, 12, 13, OPEN, 33, 34, 35, 36]])


def decision_of(output: ModelOutput) -> Decision:
    return Decision(*(output.outputs[name][:, 0] for name in Decision._fields))


def test_a_fresh_gate_changes_no_bit() -> None:
    fresh = Metacognitive(
        vocabulary=TOKENIZER.vocabulary,
        context=64,
        tokenizer=TOKENIZER,
        base=BaseModel(name="decoder", **DECODER),
        caps=CAPS,
    ).eval()
    assert torch.equal(fresh(ROWS).logits, fresh.base(ROWS))


def test_the_gate_multiplies_thoughts_and_nothing_else() -> None:
    made = model(gate_layer=2)
    gated = {}

    def keep(output: Tensor) -> Tensor:
        gated["read"] = output
        return output

    with changed(blocks_in(made.base), {1: keep}):
        plain = made.base(ROWS)
    expected = gated["read"].clone()
    gate = decision_of(made(ROWS)).gate
    for row, places in ((0, [4, 5, 6]), (1, [6, 7, 8, 9])):
        expected[row, places] *= gate[row]
    output = made(ROWS)
    with changed(blocks_in(made.base), {1: lambda output: expected}):
        assert torch.equal(made.base(ROWS), output.logits)
    assert output.outputs["gated"].nonzero().tolist() == [[0, 4], [0, 5], [0, 6], [1, 6], [1, 7], [1, 8], [1, 9]]
    assert torch.equal(output.logits[0, :4], plain[0, :4]) and not torch.equal(output.logits[0, 4:], plain[0, 4:])


def test_only_the_last_thought_is_gated() -> None:
    rows = torch.tensor([[5, OPEN, 6, CLOSE, 7, OPEN, 8, 9]])
    outputs = model()(rows).outputs
    assert outputs["thinking"].int().tolist() == [[0, 0, 1, 0, 0, 0, 1, 1]]
    assert outputs["gated"].int().tolist() == [[0, 0, 0, 0, 0, 0, 1, 1]]


def test_a_row_without_a_thought_decides_nothing() -> None:
    made = model()
    rows = torch.tensor([[5, 6, 7, 8, 9], [5, 6, OPEN, 8, 9]])
    output = made(rows)
    assert output.outputs["decided"][:, 0].tolist() == [False, True]
    assert torch.equal(output.logits[0], made.base(rows)[0])
    assert all(bool(value.isfinite().all()) for value in made(rows[:1]).outputs.values())


def test_tokens_after_the_decision_token_change_nothing_of_the_decision() -> None:
    made = model()
    later = torch.cat((ROWS[:, :6], torch.randint(2, OPEN, (2, 4), generator=torch.Generator().manual_seed(1))), dim=1)
    rows = torch.stack([torch.cat((ROWS[0, :4], later[0, 4:])), later[1]])
    assert not torch.equal(rows, ROWS)
    for one, other in zip(decision_of(made(ROWS)), decision_of(made(rows)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("base", [{}, {"position": "rope", "norm": "rms", "qk_norm": True, "kv_heads": 1}])
def test_padding_on_either_side_changes_no_decision(base: dict[str, Any]) -> None:
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        made, rows = model(base).to(dtype), prompts(12)
        with torch.no_grad():
            alone = torch.cat([made.decide(row[None])[0].summary for row in rows])
            for side in ("left", "right"):
                decision, decided = made.decide(*padded(rows, side))
                assert bool(decided.all())
                assert float((decision.summary - alone).abs().max()) < bound * float(alone.abs().max())


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
@pytest.mark.parametrize("base", [{}, {"position": "rope", "norm": "rms", "activation": "swiglu", "qk_norm": True}])
def test_a_cached_pass_agrees_with_a_whole_one(base: dict[str, Any], dtype: torch.dtype, bound: float) -> None:
    made = model(base).to(dtype)
    generator = torch.Generator().manual_seed(3)
    for side, first in (("left", 3), ("left", 20), ("none", 1)):
        rows = [torch.cat((row, torch.randint(2, OPEN, (9,), generator=generator))) for row in prompts(6, seed=first)]
        for place, row in enumerate(rows):
            row[-4 + place % 3] = CLOSE
        if side == "none":
            rows = [row[-12:] for row in rows]
        ids, mask = padded(rows, "left")
        whole = made(ids, mask).logits
        cache, parts, read = made.empty_cache(ids.shape[1]), [], 0
        for end in [first, *range(first + 1, ids.shape[1] + 1)]:
            parts.append(made.extend(ids[:, read:end], cache, mask[:, :end]))
            read = end
        difference = (torch.cat(parts, dim=1) - whole)[mask].detach().abs().max()
        assert float(difference) <= bound


def test_a_gradient_reaches_the_base_only_through_the_gate() -> None:
    made = model()
    output = made(ROWS)
    heads = output.outputs["plan"].sum() + output.outputs["hazards"].sum() + output.outputs["layer_confidence"].sum()
    (heads + output.outputs["confidence"].sum()).backward()
    assert all(parameter.grad is None for parameter in made.base.parameters())
    made(ROWS).logits[:, -2:].square().sum().backward()
    assert made.layer.gate_head is not None and float(made.layer.gate_head.weight.grad.abs().max()) > 0  # type: ignore[union-attr]


def test_the_bases_gradients_depend_on_the_gate() -> None:
    def gradients(made: Metacognitive) -> list[Tensor]:
        made.zero_grad()
        made(ROWS).logits.square().mean().backward()
        return [parameter.grad.clone() for parameter in made.base.parameters() if parameter.grad is not None]

    made = model()
    before = gradients(made)
    assert made.layer.gate_head is not None
    with torch.no_grad():
        made.layer.gate_head.weight.mul_(1.5)
    assert max(float((a - b).abs().max()) for a, b in zip(before, gradients(made), strict=True)) > 1e-6


def test_nothing_of_a_pass_is_left_on_the_model_also_after_an_exception() -> None:
    made = model()
    blocks = list(blocks_in(made.base))
    names = list(made.state_dict())
    made(ROWS)
    made.base.blocks[2].mlp.forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        made(ROWS)
    assert list(blocks_in(made.base)) == blocks and list(made.state_dict()) == names
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in made.modules())


class Pair(nn.Module):
    """A block that returns a tuple, as those of earlier releases of transformers do."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.inner = block

    def forward(self, *args: Any) -> Any:
        return self.inner(*args), "cache"


def test_blocks_that_return_tuples_are_read_and_gated_alike() -> None:
    blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    x, seen = torch.randn(2, 4), []

    def change(output: Tensor) -> Tensor:
        seen.append(output)
        return 2 * output

    with changed(blocks, {0: change}):
        plain = blocks[0](x)
    pairs = nn.ModuleList([Pair(block) for block in blocks])
    with changed(pairs, {0: change}):
        hidden, rest = pairs[0](x)
        assert pairs[0].inner is blocks[0]  # attributes are those of the block
    assert torch.equal(hidden, plain) and rest == "cache" and torch.equal(seen[0], seen[1])


def test_after_some_steps_every_tensor_of_the_layer_has_moved() -> None:
    made = model(linked_all_layers=False).train()
    before = copy.deepcopy(made.layer.state_dict())
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        output = made(ROWS)
        outputs = output.outputs
        loss = output.logits.logsumexp(-1).mean() + sum(
            outputs[name].square().mean() for name in ("plan", "hazards", "confidence")
        )
        loss.backward()
        optimizer.step()
    after = made.layer.state_dict()
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_closed_gate_leaves_the_decision_as_it_is(dropout: float) -> None:
    """Without gate and dropout the decision is read in the pass itself, otherwise in a pass of its own."""
    opened, closed = (model({"dropout": dropout}, gate_open=is_open) for is_open in (True, False))
    for made in (opened, closed):
        made.train()
    rows = padded(prompts(6, seed=8), "right")
    for one, other in zip(decision_of(opened(*rows)), decision_of(closed(*rows)), strict=True):
        assert float((one - other).detach().abs().max()) < 1e-5


@pytest.mark.parametrize("agg", ["attention", "mean"])
def test_the_shares_of_the_blocks_add_up_to_one(agg: str) -> None:
    alpha = decision_of(model(agg=agg)(ROWS)).alpha
    assert alpha.shape == (2, DECODER["layers"])
    assert torch.allclose(alpha.sum(-1), torch.ones(2))
    assert agg == "attention" or bool((alpha == 1 / 3).all())


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="gate_layer is 4, but the base model has only 3 blocks"):
        model(gate_layer=4)
    with pytest.raises(ConfigError, match=r"caps: a thought of 16 tokens.* do not fit data.context 20"):
        model(context=20)
    with pytest.raises(ConfigError, match="has no tags for thoughts"):
        Metacognitive(vocabulary=9, context=64, tokenizer=CharacterTokenizer())

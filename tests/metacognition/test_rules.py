"""Budgets are held, whatever the model would say."""

import pytest
import torch

from tests.metacognition.models import CAPS, CLOSE, OPEN, TOKENIZER, model, padded, prompts
from trimtab.generation import Completion, complete
from trimtab.generation.rules import NewRows
from trimtab.metacognition.model import Metacognitive
from trimtab.metacognition.rules import Limit, ThinkingRules

END = int(TOKENIZER.encode("\n")[0])


def completed(
    made: Metacognitive, rows: list[torch.Tensor], limits: object = "own", tokens: int = 30, **options: object
) -> list[Completion]:
    options = {"generator": torch.Generator().manual_seed(0), "temperature": 0.0, "stop": (END,), **options}
    return complete(made, rows, tokens, rules=lambda new: ThinkingRules(made, new, limits), **options)  # type: ignore[arg-type]


def used(completion: Completion) -> int:
    """The thought tokens of a completion, counted by hand; the prompt opened the thought."""
    tokens = completion.tokens.tolist()
    return tokens.index(CLOSE) if CLOSE in tokens else len(tokens)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_no_thought_is_longer_than_its_cap(temperature: float) -> None:
    made, rows = model(), prompts(64)
    for cap in (0, 1, 2, 5, 8, 13, 16):
        for one in completed(made, rows, cap, temperature=temperature):
            assert used(one) == one.details["think_tokens_used"] <= one.details["cap"] == cap
            assert CLOSE in one.tokens.tolist() and OPEN not in one.tokens.tolist()
            if cap == 0:
                assert int(one.tokens[0]) == CLOSE and one.details["forced"]


def test_use_does_not_fall_as_the_cap_grows_and_a_forced_thought_used_it_up() -> None:
    made, rows = model(), prompts(32, seed=5)
    by_cap = [completed(made, rows, cap) for cap in (0, 2, 4, 8, 16)]
    for low, high in zip(by_cap, by_cap[1:], strict=False):
        assert all(used(a) <= used(b) for a, b in zip(low, high, strict=True))
    assert all(used(one) == one.details["cap"] for one in by_cap[2] if one.details["forced"])


def test_each_row_keeps_to_the_budget_it_predicted() -> None:
    made, rows = model(price=0.7), prompts(48, seed=2)
    caps = [one.details["cap"] for one in completed(made, rows, tokens=40)]
    alone = [int(CAPS[int(made.budget.choose(made.decide(row[None])[0])[0])]) for row in rows]
    assert caps == alone and len(set(caps)) > 1
    assert [one.details["predicted_cap"] for one in completed(made, rows, 3)] == alone


def test_budgets_of_single_prompts_stay_with_them() -> None:
    made, rows = model(), prompts(40, seed=3)
    limits: list[Limit] = [index % 7 for index in range(40)]
    for limit, one in zip(limits, completed(made, rows, limits, batch_size=16), strict=True):
        assert one.details["cap"] == limit and used(one) <= int(limit or 0)


def test_a_cached_batch_whose_rows_leave_gives_the_tokens_of_single_rows_without_a_cache() -> None:
    made, rows = model(), prompts(32, seed=4)
    together = completed(made, rows, "auto", batch_size=16)
    alone = [completed(made, [row], "auto", cached=False)[0] for row in rows]
    for one, other in zip(together, alone, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert one.details["cap"] == other.details["cap"] and one.details["forced"] == other.details["forced"]
        assert one.details["confidence"] == pytest.approx(other.details["confidence"], abs=1e-5)


def test_a_model_may_open_a_thought_itself_once() -> None:
    made, rows = model(), prompts(24, seed=6, open_thought=False)
    with torch.no_grad():
        made.base.token_embedding[OPEN] *= 40  # so that it often opens one
    opened = [one for one in completed(made, rows, 3, tokens=24, temperature=1.0) if OPEN in one.tokens.tolist()]
    assert opened
    for one in opened:
        tokens = one.tokens.tolist()
        assert tokens.count(OPEN) == 1
        after = tokens[tokens.index(OPEN) + 1 :]
        assert (after.index(CLOSE) if CLOSE in after else len(after)) == one.details["think_tokens_used"] <= 3
        assert "confidence" in one.details
    never = [one for one in completed(made, rows, 3, tokens=24) if OPEN not in one.tokens.tolist()]
    assert all("confidence" not in one.details and one.details["think_tokens_used"] == 0 for one in never)


def test_a_cap_leaves_room_for_the_answer() -> None:
    made = model(context=32, answer_room=4)
    (near,) = completed(made, [torch.tensor([5] * 20 + [OPEN])], 16)
    assert near.details["cap"] == 32 + 1 - 21 - 1 - 4  # the context holds one token more, which is not read
    (short,) = completed(made, [torch.tensor([5, OPEN])], 16, tokens=8)
    assert short.details["cap"] == 8 - 1 - 4


def test_the_models_own_rules_apply_where_none_are_given() -> None:
    rows = prompts(8, seed=7)
    for predicted in (True, False):
        made = model(use_predicted_budget=predicted)
        generator = torch.Generator().manual_seed(0)
        caps = [one.details["cap"] for one in complete(made, rows, 60, generator=generator, temperature=0.0)]
        assert [cap <= CAPS[-1] for cap in caps] == [True] * 8 if predicted else max(caps) > CAPS[-1]


def test_right_padding_is_refused() -> None:
    made, (ids, mask) = model(), padded(prompts(3), "right")
    with pytest.raises(ValueError, match="must be padded on the left"):
        ThinkingRules(made, NewRows([0, 1, 2], ids, mask, 20))
    with pytest.raises(ValueError, match="must be padded on the left"):
        made.extend(ids, made.empty_cache(), mask)


def test_rules_leave_other_logits_as_they_are() -> None:
    made, (row,) = model(), prompts(1)
    rules = ThinkingRules(made, NewRows([0], row[None], torch.ones(1, len(row), dtype=torch.bool), 40), 5)
    logits = torch.randn(1, TOKENIZER.vocabulary)
    allowed = rules.logits(logits, None, row[None], None)
    assert torch.equal(allowed[:, :OPEN], logits[:, :OPEN]) and allowed[0, CLOSE] == logits[0, CLOSE]
    assert allowed[0, OPEN] == -torch.inf

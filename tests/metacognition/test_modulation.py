"""Modulated draws: what they are for sure and unsure rows, by segment, and that they keep the rules."""

from typing import Any

import pytest
import torch

from tests.metacognition.models import CLOSE, OPEN, model, prompts
from trimtab.generation import complete
from trimtab.generation.rules import NewRows
from trimtab.metacognition.caps import confidence
from trimtab.metacognition.modulation import ModulatedRules, Modulation, _nucleus
from trimtab.metacognition.rules import ThinkingRules

END = 1


def rows_of(texts: list[torch.Tensor]) -> NewRows:
    width = max(map(len, texts))
    window = torch.zeros(len(texts), width, dtype=torch.long)
    real = torch.zeros_like(window, dtype=torch.bool)
    for row, text in enumerate(texts):
        window[row, width - len(text) :], real[row, width - len(text) :] = text, True
    return NewRows(tuple(range(len(texts))), window, real, 30, (END,))


def modulated(thinker: Any, modulation: Modulation, **options: Any) -> Any:
    return complete(
        thinker,
        prompts(6),
        30,
        generator=torch.Generator().manual_seed(0),
        stop=(END,),
        rules=lambda rows: ModulatedRules(ThinkingRules(thinker, rows, 8), modulation),
        **options,
    )


def test_logits_are_divided_by_what_the_confidence_says_until_the_segment_ends() -> None:
    thinker = model(caps=(0, 4, 8))
    texts = prompts(3)
    rows = rows_of(texts)
    rules = ModulatedRules(ThinkingRules(thinker, rows, 8), Modulation((0.5, 2.0), (0.25, 1.0), (1.0, 3.0), (1.0, 1.0)))
    plain = ThinkingRules(thinker, rows, 8)
    cache = thinker.empty_cache(64)
    logits = thinker.extend(rows.window, cache, rows.real, last=True)[:, -1]
    decision = thinker.decide(rows.window, rows.real)[0]
    sure = confidence(decision.confidence)[:, -1]
    plan = torch.tensor([1.0, 3.0])[decision.plan.argmax(-1)]
    for segment, (low, high) in ((OPEN, (0.5, 2.0)), (CLOSE, (0.25, 1.0))):
        factor = (low * sure + high * (1 - sure)) * plan
        for token in (5, 6):
            allowed = plain.logits(logits, cache, rows.window, rows.real)
            torch.testing.assert_close(rules.logits(logits, cache, rows.window, rows.real), allowed / factor[:, None])
            for each in (plain, rules):
                each.add(torch.full((3,), token))
        if segment == OPEN:
            for each in (plain, rules):
                each.add(torch.full((3,), CLOSE))


def test_budgets_hold_under_modulation_and_rows_leave() -> None:
    thinker = model(caps=(0, 4, 8))
    for one in modulated(thinker, Modulation((3.0, 5.0), (3.0, 5.0)), temperature=1.0, batch_size=3):
        assert one.details["think_tokens_used"] <= 8
        thought = one.tokens[: one.details["think_tokens_used"]]
        assert not bool(((thought == OPEN) | (thought == CLOSE)).any())


def test_no_modulation_leaves_the_draws_as_they_are() -> None:
    thinker = model()
    same = Modulation((1.0, 1.0), (1.0, 1.0), (1.0,), (1.0, 1.0))
    plain = complete(
        thinker,
        prompts(6),
        30,
        generator=torch.Generator().manual_seed(0),
        stop=(END,),
        rules=lambda rows: ThinkingRules(thinker, rows, 8),
    )
    for one, other in zip(modulated(thinker, same), plain, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()


def test_a_penalty_avoids_repetition_within_a_segment() -> None:
    def repeated(penalty: float) -> int:
        modulation = Modulation((1.0, 1.0), (1.0, 1.0), (1.0,), (1.0, 1.0), (penalty, penalty))
        found = modulated(model(), modulation, temperature=0.0)
        thoughts = [one.tokens[: one.details["think_tokens_used"]].tolist() for one in found]
        return sum(len(thought) - len(set(thought)) for thought in thoughts)

    assert repeated(0.0) > 0 == repeated(1e4)


def test_the_nucleus_of_each_row_has_its_own_size() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(3, -1)
    kept = _nucleus(logits, torch.tensor([0.5, 0.81, 1.0])).isfinite().sum(1)
    assert kept.tolist() == [1, 3, 4]


def test_impossible_modulations_are_refused() -> None:
    with pytest.raises(ValueError, match="temperatures must be above 0"):
        Modulation(thought=(0.0, 1.0))
    with pytest.raises(ValueError, match="top_p in"):
        Modulation(top_p=(0.5, 1.5))

"""Generation with pretrained models: cached and uncached, together and alone, and beyond a full context."""

from pathlib import Path

import pytest
import torch

from tests.models.pretrained.folders import KINDS, ids, load
from trimtab.generation import complete, generate

PROMPTS = [ids(1, length, seed=length)[0] for length in (5, 31, 1, 12)]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_depends_neither_on_other_rows_nor_on_the_cache(
    kind: str, temperature: float, folders: dict[str, Path]
) -> None:
    model = load(folders[kind]).double().train()
    settings = {"temperature": temperature, "stop": set(range(10))}
    together = complete(model, PROMPTS, 20, generator=generator(), **settings)
    for other in ({"batch_size": 1}, {"batch_size": 3}, {"cached": False}):
        for one, row in zip(
            complete(model, PROMPTS, 20, generator=generator(), **settings, **other), together, strict=True
        ):
            assert (one.tokens.tolist(), one.ended) == (row.tokens.tolist(), row.ended)
            torch.testing.assert_close(one.log_probabilities, row.log_probabilities, rtol=0, atol=1e-6)
    assert model.training


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_context_slides_with_and_without_the_cache(kind: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind]).double()
    texts = [generate(model, ids(2, 50), 40, generator=generator(), cached=cached) for cached in (True, False)]
    assert texts[0].shape == (2, 90)
    assert torch.equal(*texts)


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_decoding_equals_that_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    model = load(folders[kind]).eval()
    for prompt, row in zip(PROMPTS, complete(model, PROMPTS, 10, generator=generator(), temperature=0), strict=True):
        expected = model.network.generate(
            prompt[None], max_new_tokens=10, min_new_tokens=10, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        assert row.tokens.tolist() == expected[0, len(prompt) :].tolist()

"""Generation: results do not depend on the cache, and the options work as documented."""

import pytest
import torch
from torch import nn

from tests.models.test_decoder import OPTIONS, decoder, ids, named
from trimtab.generation import generate
from trimtab.generation.sampling import choose, filter_logits


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_cached_logits_equal_uncached_ones(options):
    model = decoder(**options).double().eval()
    whole = model(ids())
    cache = model.empty_cache()
    parts, start = [], 0
    for size in (10, 1, 1, 20, 1, 30, 33):
        parts.append(model.extend(ids()[:, start : start + size], cache))
        start += size
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="do not fit a context"):
        model.extend(ids()[:, :1], cache)


@pytest.mark.parametrize("slide", [1, 7, None, 96])
@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_cached_tokens_equal_uncached_ones_across_the_context_boundary(options, slide):
    model = decoder(**options)
    prompt = ids(batch=2, length=80)
    text = [generate(model, prompt, 40, generator=generator(), slide=slide, cached=cached) for cached in (True, False)]
    assert text[0].shape == (2, 120)
    assert torch.equal(text[0][:, :80], prompt)
    assert torch.equal(*text)


def test_a_prompt_longer_than_the_context_is_cut():
    model = decoder()
    prompt = ids(batch=1, length=150)
    kept = 96 - 12
    text = generate(model, prompt, 5, generator=generator(), temperature=0)
    short = generate(model, prompt[:, -kept:], 5, generator=generator(), temperature=0)
    assert torch.equal(text[:, 150:], short[:, kept:])


def test_a_slide_of_one_keeps_the_largest_window():
    model = decoder()
    sequence = generate(model, ids(batch=1, length=90), 20, generator=generator(), temperature=0, slide=1)
    for end in range(97, 110):
        seen = sequence[:, max(0, end - 95) : end]
        assert int(model.eval()(seen)[0, -1].argmax()) == int(sequence[0, end])


def test_greedy_decoding_takes_the_most_likely_token_and_draws_nothing():
    model = decoder().eval()
    source = generator()
    before = source.get_state()
    text = generate(model, ids(1, 10), 1, generator=source, temperature=0)
    assert int(text[0, -1]) == int(model(ids(1, 10))[0, -1].argmax())
    assert torch.equal(before, source.get_state())


def test_draws_follow_the_distribution():
    logits = torch.tensor([[0.5, 0.2, 0.05, 0.25]]).log().expand(200_000, 4)
    for temperature in (1.0, 0.5, 2.0):
        counts = torch.bincount(choose(logits, generator(), temperature=temperature), minlength=4) / 200_000
        expected = (logits[0].double() / temperature).softmax(0)
        assert torch.allclose(counts.double(), expected, atol=4e-3)


def test_only_tokens_of_nonzero_probability_are_drawn():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(10_000, 5)
    assert set(choose(logits, generator()).tolist()) == {1, 3}


def test_top_k_and_top_p_keep_the_documented_tokens():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]).log()
    assert filter_logits(logits, top_k=2).isfinite().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert filter_logits(logits, top_p=0.65).isfinite().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert filter_logits(logits, top_p=0.75).isfinite().tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]
    assert filter_logits(logits, top_p=1e-9).isfinite().sum(1).tolist() == [1, 1]
    assert filter_logits(logits, top_k=9, top_p=1.0).isfinite().all()
    assert torch.equal(filter_logits(torch.zeros(1, 4), top_k=2).isfinite().sum(), torch.tensor(2))


@pytest.mark.parametrize("options", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"slide": 0}, {"slide": 97}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        generate(decoder(), ids(1, 4), 2, generator=generator(), **options)


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt"):
        generate(decoder(), ids(1, 4)[:, :0], 2, generator=generator())


def test_generation_stops_after_every_row_has_stopped():
    model = decoder()
    free = generate(model, ids(2, 4), 60, generator=generator())
    stop = int(free[0, 10])
    stopped = generate(model, ids(2, 4), 60, generator=generator(), stop={stop})
    for row in range(2):
        full, cut = free[row, 4:].tolist(), stopped[row, 4:].tolist()
        end = full.index(stop) + 1 if stop in full else len(full)
        assert cut[:end] == full[:end]
        assert set(cut[end:]) <= {stop}


def test_the_mode_is_restored_and_the_global_generator_is_not_used():
    before = torch.random.get_rng_state()
    for training in (True, False):
        model = decoder().train(training)
        generate(model, ids(1, 4), 3, generator=generator())
        assert model.training is training
    assert torch.equal(before, torch.random.get_rng_state())


def test_models_without_a_cache_can_generate():
    class Bigram(nn.Module):
        context = 8

        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.eye(5).roll(1, dims=1) * 9)

        def forward(self, input_ids, attention_mask=None):
            return self.table[input_ids]

    text = generate(Bigram(), torch.tensor([[0]]), 12, generator=generator(), temperature=0)
    assert text.tolist() == [[i % 5 for i in range(13)]]


def test_generating_0_tokens_returns_the_prompt():
    assert torch.equal(generate(decoder(), ids(1, 4), 0, generator=generator()), ids(1, 4))

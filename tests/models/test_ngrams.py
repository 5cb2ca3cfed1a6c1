"""N-gram embeddings: which vectors a position gets."""

import pytest
import torch

from tests.models.test_decoder import decoder, ids
from trimtab.models import Decoder
from trimtab.models.ngrams import _FACTOR, ABSENT, NgramEmbedding, ngram_buckets


def signed(value):
    return (value + 2**63) % 2**64 - 2**63


def expected(tokens, place, n, buckets):
    """The bucket in Python's integers: a polynomial of the last n tokens, mixed."""
    last = [tokens[i] if i >= 0 else ABSENT for i in range(place, place - n, -1)]
    key = 0
    for token in last:
        key = signed(key * _FACTOR + token + 1)
    return (signed(signed(key ^ (key >> 32)) * _FACTOR) >> 24) % buckets


@pytest.mark.parametrize("buckets", [1, 97, 16_384])
def test_buckets_as_computed_with_whole_numbers(buckets):
    tokens = ids(1, 20)
    places = ngram_buckets(tokens, 12, 4, buckets)[0]
    for i in range(12):
        for n in (2, 3, 4):
            assert places[i, n - 2] == expected(tokens[0].tolist(), 8 + i, n, buckets) + (n - 2) * buckets


def test_short_strings_of_a_small_vocabulary_are_spread_over_the_buckets():
    pairs = torch.cartesian_prod(torch.arange(99), torch.arange(99))
    filled = ngram_buckets(pairs, 1, 2, 16_384).unique().numel()
    assert filled == pytest.approx(16_384 * (1 - (1 - 1 / 16_384) ** 99**2), rel=0.02)  # as random places would fill


def test_a_vector_depends_on_exactly_the_last_tokens():
    table = NgramEmbedding(32, 5, 1000)
    torch.nn.init.normal_(table.weight, generator=torch.Generator().manual_seed(0))
    tokens = ids(1, 12)
    before = table(tokens, 12)[0].unflatten(-1, (4, 8))
    tokens[0, 5] = (tokens[0, 5] + 1) % 23
    changed = (table(tokens, 12)[0].unflatten(-1, (4, 8)) != before).any(-1)
    for n in (2, 3, 4, 5):
        assert changed[:, n - 2].nonzero().flatten().tolist() == list(range(5, 5 + n))


def test_the_start_of_a_text_differs_from_any_token_before_it():
    table = NgramEmbedding(8, 2, 10_000)
    torch.nn.init.normal_(table.weight, generator=torch.Generator().manual_seed(0))
    start = table(torch.tensor([[7]]), 1)[0, 0]
    for token in range(23):
        assert not torch.equal(table(torch.tensor([[token, 7]]), 1)[0, 0], start)


def test_a_width_that_the_tables_do_not_divide_is_refused():
    with pytest.raises(
        ValueError, match="ngrams: n-grams of 2 to 4 tokens share the width, but 32 is not divisible by 3"
    ):
        Decoder.check({"width": 32, "ngrams": 4})


def test_rows_of_a_cache_can_be_dropped():
    model = decoder(ngrams=5).double().eval()
    cache = model.empty_cache()
    model.extend(ids(3, 20)[:, :17], cache)
    model.keep_rows(cache, torch.tensor([2]))
    seen = model.extend(ids(3, 20)[2:, 17:], cache)
    torch.testing.assert_close(seen[0, -1], model(ids(3, 20)[2:])[0, -1], rtol=0, atol=1e-9)

"""Batched completion: a row's text does not depend on other rows, and ends where it should."""

import pytest
import torch

from tests.models.test_decoder import OPTIONS, decoder, ids, named
from tests.tiny import TinyModel
from trimtab.generation import Completion, complete, continuation

LENGTHS = (7, 30, 1, 12, 12)
PROMPTS = [ids(1, length, seed=length)[0] for length in LENGTHS]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def decode(tokens):
    return "".join(chr(ord("a") + int(token)) for token in tokens)


def same(one: list[Completion], other: list[Completion], tolerance=1e-9) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.tokens.tolist(), mine.ended, mine.text) == (theirs.tokens.tolist(), theirs.ended, theirs.text)
        torch.testing.assert_close(mine.log_probabilities, theirs.log_probabilities, rtol=0, atol=tolerance)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_extending_a_cache_with_a_mask_equals_one_forward_pass(options):
    model = decoder(**options).double().eval()
    real = torch.ones(3, 40, dtype=torch.bool)
    real[0, :11], real[2, :39] = False, False
    whole, cache, start = model(ids(3, 40), real), model.empty_cache(), 0
    for size in (38, 1, 1):
        seen = model.extend(ids(3, 40)[:, start : start + size], cache, real[:, : start + size])
        start += size
    torch.testing.assert_close(seen[:, -1], whole[:, -1], rtol=0, atol=1e-9)
    for row, length in ((0, 29), (2, 1)):
        alone = model(ids(3, 40)[row : row + 1, -length:])
        torch.testing.assert_close(seen[row, -1], alone[0, -1], rtol=0, atol=1e-9)


def test_positions_of_a_padded_row_count_real_tokens():
    model = decoder().double().eval()
    real = torch.ones(1, 20, dtype=torch.bool)
    real[0, :6] = False
    alone = model(ids(1, 20)[:, 6:])[0, -1]
    torch.testing.assert_close(model(ids(1, 20), real)[0, -1], alone, rtol=0, atol=1e-9)
    logits = model.extend(ids(1, 20), model.empty_cache(), real, last=True)
    torch.testing.assert_close(logits[0, 0], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[-1]], ids=named)
def test_a_row_depends_neither_on_other_rows_nor_on_the_cache(options, temperature):
    model = decoder(**options).double()
    settings = {"temperature": temperature, "stop": {3, 5}, "decode": decode}
    together = complete(model, PROMPTS, 40, generator=generator(), **settings)
    for other in ({"batch_size": 1}, {"batch_size": 2}, {"cached": False}):
        same(together, complete(model, PROMPTS, 40, generator=generator(), **settings, **other))
    assert len({len(row.tokens) for row in together}) > 1  # rows did end at different places


def test_greedy_equals_one_prompt_at_a_time_in_fp32():
    model = decoder()
    together = complete(model, PROMPTS, 30, generator=generator(), temperature=0)
    for prompt, row in zip(PROMPTS, together, strict=True):
        (alone,) = complete(model, [prompt], 30, generator=generator(), temperature=0)
        assert alone.tokens.tolist() == row.tokens.tolist()
        follow = prompt
        for token in row.tokens:
            assert int(model.eval()(follow[None])[0, -1].argmax()) == int(token)
            follow = torch.cat((follow, token[None]))


def test_log_probabilities_are_the_models_before_temperature_and_filters():
    model = decoder().double().eval()
    (row,) = complete(model, PROMPTS[:1], 8, generator=generator(), temperature=0.7, top_k=3, top_p=0.9)
    whole = torch.cat((PROMPTS[0], row.tokens))
    expected = model(whole[None, :-1])[0, -8:].log_softmax(-1).gather(1, row.tokens[:, None])[:, 0]
    torch.testing.assert_close(row.log_probabilities, expected, rtol=0, atol=1e-9)


def test_rows_end_at_a_stop_token_a_stop_text_their_length_or_a_full_context():
    model = decoder()
    free = complete(model, PROMPTS, 30, generator=generator(), decode=decode)
    assert {row.ended for row in free} == {"length"}
    token = int(free[0].tokens[4])
    text = free[1].text[6:9]
    settings = {"stop": {token}, "stop_texts": [text], "decode": decode}
    ended = complete(model, PROMPTS, 30, generator=generator(), **settings)
    for row, whole in zip(ended, free, strict=True):
        letters = whole.text
        at_token = letters.find(chr(ord("a") + token))
        at_text = letters.find(text)
        ends = [(at_token, at_token + 1, "stop")] if at_token >= 0 else []
        ends += [(at_text, at_text + 3, "text")] if at_text >= 0 else []
        cut, length, why = min(ends, key=lambda end: end[1]) if ends else (30, 30, "length")
        assert (row.ended, row.text, len(row.tokens)) == (why, letters[:cut], length)
        assert row.tokens.tolist() == whole.tokens[:length].tolist()
    assert {"stop", "text"} <= {row.ended for row in ended}
    long = [ids(1, 90)[0], ids(1, 96)[0], ids(1, 3)[0]]
    full = complete(model, long, 50, generator=generator())
    assert [(len(row.tokens), row.ended) for row in full] == [(7, "context"), (1, "context"), (50, "length")]


@pytest.mark.parametrize("cached", [True, False])
def test_rows_whose_context_is_full_do_not_disturb_those_that_stay_with_them(cached):
    model = decoder().double()
    rows = [ids(1, length, seed=length)[0] for length in (30, 29, 28, 27, 26, 25, 5, 4)]
    settings = {"temperature": 0.0, "cached": cached}
    together = complete(model, rows, model.context, generator=generator(), **settings)
    assert {row.ended for row in together} == {"context"}
    same(together, complete(model, rows, model.context, generator=generator(), batch_size=1, **settings))


def words(tokens):
    """A decoder of words that drops the space before the first, as that of Llama 2 does."""
    return "".join(f" {decode([token])}" for token in tokens).removeprefix(" ")


def test_a_completion_keeps_the_space_after_its_prompt():
    model = decoder()
    for row, prompt in zip(complete(model, PROMPTS, 6, generator=generator(), decode=words), PROMPTS, strict=True):
        assert words(prompt) + row.text == words([*prompt, *row.tokens])
        assert row.text == f" {words(row.tokens)}"
    alone = complete(model, PROMPTS, 6, generator=generator(), decode=words, decode_alone=True)
    assert [row.text for row in alone] == [words(row.tokens) for row in alone]
    first = f" {words(alone[0].tokens[:1])} "
    (row,) = complete(model, PROMPTS[:1], 6, generator=generator(), decode=words, stop_texts=[first])
    assert (row.ended, row.text, len(row.tokens)) == ("text", "", 2)


def utf8(tokens):
    return bytes(map(int, tokens)).decode(errors="replace")


def test_a_character_that_begins_in_the_prompt_belongs_to_the_continuation():
    text = "né ☃".encode()
    for cut in range(len(text) + 1):
        prompt, rest = text[:cut], text[cut:]
        whole = len(prompt.decode(errors="ignore"))
        assert continuation(utf8, list(prompt), list(rest)) == "né ☃"[whole:]


def test_models_without_a_cache_read_the_whole_window():
    model = TinyModel(vocabulary=23, context=96).double()
    together = complete(model, PROMPTS, 10, generator=generator())
    same(together, complete(model, PROMPTS, 10, generator=generator(), batch_size=1))


def test_nothing_is_drawn_at_temperature_0_and_the_mode_is_restored():
    model, source = decoder().train(), generator()
    before = source.get_state()
    complete(model, PROMPTS, 3, generator=source, temperature=0)
    assert torch.equal(before, source.get_state())
    assert model.training
    assert complete(model, [], 3, generator=source) == []


@pytest.mark.parametrize(
    ("prompts", "options", "named_in_error"),
    [
        ([torch.zeros(0, dtype=torch.long)], {}, "prompt 0 has 0 tokens"),
        ([torch.zeros(97, dtype=torch.long)], {}, "prompt 0 has 97 tokens"),
        (PROMPTS, {"tokens": 0}, "tokens"),
        (PROMPTS, {"batch_size": 0}, "batch_size"),
        (PROMPTS, {"temperature": -1.0}, "temperature"),
        (PROMPTS, {"stop_texts": ["x"]}, "decode"),
        (PROMPTS, {"stop_texts": [""], "decode": decode}, "empty"),
    ],
)
def test_invalid_prompts_and_options_are_refused(prompts, options, named_in_error):
    with pytest.raises(ValueError, match=named_in_error):
        complete(decoder(), prompts, **{"tokens": 2, "generator": generator(), **options})

"""Numeric values of tokens."""

import torch

from trimtab.data import CharacterTokenizer, token_values


def test_the_digits_of_the_character_tokenizer_have_their_values() -> None:
    tokenizer = CharacterTokenizer()
    values = token_values(tokenizer.texts())
    assert len(values) == tokenizer.vocabulary
    known = torch.nonzero(~values.isnan())[:, 0].tolist()
    assert {tokenizer.decode([token]): float(values[token]) for token in known} == {str(d): float(d) for d in range(10)}


def test_only_tokens_that_are_numbers_have_a_value() -> None:
    texts = [" 12", "3.5", "", " ", "1 ", "-4", "1,000", "٣", "²", "1e3", "7.", ".5", "1" * 16, "007"]
    values = token_values(texts)
    assert {text: float(v) for text, v in zip(texts, values, strict=True) if not v.isnan()} == {
        " 12": 12,
        "3.5": 3.5,
        "007": 7,
    }

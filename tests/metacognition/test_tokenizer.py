"""A tokenizer with tags."""

import numpy as np
import pytest

from tests.metacognition.models import TOKENIZER
from trimtab.data import CharacterTokenizer
from trimtab.errors import ConfigError
from trimtab.metacognition.tags import tags_of
from trimtab.metacognition.tokenizer import Base, TaggedTokenizer


def test_the_tags_are_new_tokens_after_those_of_the_base() -> None:
    base = CharacterTokenizer()
    assert (TOKENIZER.tags.open, TOKENIZER.tags.close) == (base.vocabulary, base.vocabulary + 1)
    assert TOKENIZER.vocabulary == base.vocabulary + 2 == len(TOKENIZER.texts())
    assert TOKENIZER.texts()[-2:] == ["<think>", "</think>"]


def test_text_never_becomes_a_tag_and_comes_back_as_it_was() -> None:
    for text in ("a <think>b</think>", "<think><think>", "</think", "", "plain"):
        ids = TOKENIZER.encode(text)
        assert not {TOKENIZER.tags.open, TOKENIZER.tags.close} & set(ids.tolist())
        assert TOKENIZER.decode(ids) == text
        spans = TOKENIZER.spans(text)
        assert np.array_equal(spans[0], ids) and "".join(text[a:b] for a, b in spans[1].tolist()) == text


def test_tags_are_decoded_to_their_own_texts() -> None:
    tags, ids = TOKENIZER.tags, TOKENIZER.encode("ab").tolist()
    assert TOKENIZER.decode([ids[0], tags.open, ids[1], tags.close]) == "a<think>b</think>"


def test_the_fingerprint_knows_base_and_tags() -> None:
    others = [
        TaggedTokenizer(),
        TaggedTokenizer(base=Base(name="character", policy="printable")),
        TaggedTokenizer(open="<t>"),
        CharacterTokenizer(),
    ]
    assert TOKENIZER.fingerprint == others[0].fingerprint
    assert len({one.fingerprint for one in others}) == 4


def test_tags_must_differ_and_be_there() -> None:
    with pytest.raises(ConfigError, match="must differ"):
        TaggedTokenizer(open="<t>", close="<t>")
    with pytest.raises(ConfigError, match="has no tags for thoughts"):
        tags_of(CharacterTokenizer())

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tasks.shared import shared_file
from tests.memory.pairs.files import source
from trimtab.config import ConfigError
from trimtab.data.tokenizers import CharacterTokenizer, PretrainedTokenizer
from trimtab.memory.pairs import EncodedPairs, Pair, encode_pairs, target_ids
from trimtab.memory.pairs.reading import plain_pair
from trimtab.memory.pairs.targets import UnusableTextError


class Characters(CharacterTokenizer):
    """One token per character; `~` is the end token."""

    end = 1 + CharacterTokenizer().vocabulary - 2


def pair(question: str, answer: str) -> Pair:
    return plain_pair(question, (answer,), name="p")


def encode(
    *pairs: Pair, question: int | None = None, answer: int | None = None, context: int = 1000, overhead: int = 0
) -> EncodedPairs:
    return encode_pairs(
        pairs, Characters(), longest_question=question, longest_answer=answer, context=context, overhead=overhead
    )


def test_the_end_token_is_last() -> None:
    assert Characters().decode([Characters.end]) == "~"
    (one,) = encode(pair("Why?", " so")).pairs
    assert one.pair == pair("Why?", " so")
    assert (one.question.dtype, one.answer.dtype) == (np.int64, np.int64)
    assert Characters().decode(one.question) == "Why?~"
    assert Characters().decode(one.answer) == " so~"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("", "so", "The tokenizer gives no token for the question."),
        ("Why?", "", "The tokenizer gives no token for the answer."),
        ("Why~?", "so", "The question contains the tokenizer's end token, '~', so it would end there."),
        (
            "Why?",
            "s\u014d",
            "The tokenizer does not decode the answer to the same text: from character 1 on, '\u014d' becomes '\ufffd'.",
        ),
        ("123456789", "so", "The question has 10 tokens with its end token, but at most 9 are allowed."),
        ("Why?", "12345", "The answer has 6 tokens with its end token, but at most 5 are allowed."),
    ],
)
def test_a_pair_that_cannot_be_a_target_is_skipped_with_the_reason(question: str, answer: str, reason: str) -> None:
    result = encode(pair("12345678", "1234"), pair(question, answer), question=9, answer=5)
    assert len(result.pairs) == 1
    assert [(skipped.pair, skipped.reason) for skipped in result.skipped] == [("p", reason)]


def test_a_pair_longer_than_the_context_is_skipped() -> None:
    assert len(encode(pair("1234567", "1"), context=16, overhead=8).pairs) == 1
    result = encode(pair("12345678", "1"), context=16, overhead=8)
    assert result.pairs == ()
    assert result.skipped[0].reason == (
        "The question needs 9 tokens (end token included) and 8 positions before it, but the context has only 16."
    )


def test_a_tokenizer_without_an_end_token_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"The tokenizer character has no end token.*eos_token"):
        encode_pairs([], CharacterTokenizer(), longest_question=None, longest_answer=None, context=9, overhead=1)


@given(st.text())
def test_any_text_is_decoded_to_itself_or_refused(tokenizer: PretrainedTokenizer, text: str) -> None:
    try:
        ids = target_ids(text, tokenizer, name="text", longest=None, context=10_000, overhead=0)
    except UnusableTextError as error:
        assert not text or "<PAD>" in text or "\ufffd" in str(error)
        return
    assert ids[-1] == tokenizer.end
    assert tokenizer.decode(ids[:-1]) == text


def test_a_text_with_the_end_token_is_refused(tokenizer: PretrainedTokenizer) -> None:
    with pytest.raises(UnusableTextError, match="The text contains the tokenizer's end token, '<PAD>'"):
        target_ids("what is <PAD>?", tokenizer, name="text", longest=None, context=99, overhead=0)


def test_real_pairs_are_all_targets(tokenizer: PretrainedTokenizer) -> None:
    pairs = source("squad", path=str(shared_file("squad_v2_sample.json"))).read(None, 0).pairs
    result = encode_pairs(pairs, tokenizer, longest_question=None, longest_answer=None, context=2048, overhead=33)
    assert (len(result.pairs), result.skipped) == (len(pairs), ())

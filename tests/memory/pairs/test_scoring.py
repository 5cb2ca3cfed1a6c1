import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.memory.pairs import grade, squad_normalise, token_f1


def official(text: str) -> str:
    """SQuAD 2.0's evaluation script, step by step."""
    text = text.lower()
    text = "".join(ch for ch in text if ch not in set(string.punctuation))
    text = re.compile(r"\b(a|an|the)\b", re.UNICODE).sub(" ", text)
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Beatles!", "beatles"),
        ("a cat, an owl & the dog", "cat owl dog"),
        ("U.S.A.", "usa"),
        ("theatre an-d", "theatre and"),
        ("the", ""),
        ("?!", ""),
        ("", ""),
        ("caf\u00e9 \u2013 \u00c9", "caf\u00e9 \u2013 \u00e9"),
    ],
)
def test_normalisation_of_examples(text: str, normal: str) -> None:
    assert squad_normalise(text) == normal


@given(st.text(st.sampled_from("aAn the.,!?-'\n\u2013é1")))
def test_normalisation_equals_the_official_one(text: str) -> None:
    assert squad_normalise(text) == official(text)


@pytest.mark.parametrize(
    ("expected", "decoded", "f1"),
    [
        ("the red house", "Red house.", 1.0),
        ("red house", "red", 2 / 3),
        ("red house", "red red house", 0.8),
        ("red", "blue", 0.0),
        ("", "", 1.0),
        ("the", "!", 1.0),
        ("", "red", 0.0),
        ("red", "", 0.0),
    ],
)
def test_f1_of_examples(expected: str, decoded: str, f1: float) -> None:
    assert token_f1(expected, decoded) == pytest.approx(f1)


@given(st.text(), st.text())
def test_f1_is_between_0_and_1_and_symmetric(one: str, other: str) -> None:
    assert 0 <= token_f1(one, other) <= 1
    assert token_f1(one, other) == pytest.approx(token_f1(other, one))
    assert token_f1(one, one) == 1
    if squad_normalise(one) == squad_normalise(other):
        assert token_f1(one, other) == 1


@pytest.mark.parametrize(
    ("ids", "decoded_ids", "texts", "decoded", "exact", "verdict"),
    [
        ([5, 6, 0], [5, 6, 0], "red house", "red house", True, "pass"),
        ([5, 6, 0], [5, 6, 0], "red house", "red house", False, "pass"),
        ([5, 6, 0], [5, 6, 9], "red house", "The red house!", False, "pass"),
        ([5, 6, 0], [5, 6, 9], "red house", "red house.", False, "pass"),
        ([5, 6, 0], [5, 6, 9], "red house", "red mouse", False, "partial"),
        ([5, 6, 0], [5, 6, 9], "red house", "a mouse", False, "fail"),
        ([5, 6, 0], [7, 0], ["red house", "villa"], "the villa", False, "pass"),
        ([5, 6, 0], [], "red house", "", False, "fail"),
        ([5, 0], [0], "?", "", False, "fail"),
        ([5, 0], [6, 0], "?", "!", False, "fail"),
        ([5, 0], [6, 0], "The", " the", False, "pass"),
        ([5, 6, 0], [5, 7, 0], "37-48=", "37+48=", True, "fail"),
        ([5, 6, 0], [5, 6, 7, 8], "12\n34", "12\n34", True, "partial"),
        ([5, 6, 0], [5, 6, 7, 8], "12\n34", "12\n35", True, "partial"),
    ],
)
def test_verdicts_of_examples(
    ids: list[int], decoded_ids: list[int], texts: str | list[str], decoded: str, exact: bool, verdict: str
) -> None:
    grades = grade(ids, decoded_ids, texts, decoded, exact=exact)
    assert grades.verdict == verdict
    assert grades.tokens_exact == (ids == decoded_ids)
    assert 0 <= grades.f1 <= 1


def test_ids_may_be_arrays() -> None:
    import numpy as np

    assert grade(np.array([5, 0]), [5, 0], "red", "red").tokens_exact

"""Final answers in worked responses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.metacognition.data.traces.answers import boxed, plain, same_answer


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("so \\boxed{5}", "5"),
        ("\\boxed{1} and then \\boxed{ \\frac{1}{2} }.", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{7} but \\boxed{8", "7"),
        ("\\fbox{x}", "x"),
        ("boxed{5}", None),
        ("\\boxed{", None),
        ("", None),
    ],
)
def test_the_last_whole_box_is_found(text: str, inside: str | None) -> None:
    assert boxed(text) == inside


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("\\dfrac{1}{2}", "$\\frac{1}{2}$", True),
        ("1,000", "1000", True),
        ("0.50", "0.5", True),
        ("\\text{even}", "even", True),
        ("\\left( 1, 2 \\right)", "(1,2)", True),
        ("x + 1", "x+1", True),
        ("-3", "3", False),
        ("2.5", "25", False),
        ("1/2", "12", False),
        ("x+1", "1+x", False),
    ],
)
def test_answers_are_equal_as_numbers_or_without_marks_of_layout(one: str, other: str, equal: bool) -> None:
    assert same_answer(one, other) is same_answer(other, one) is equal


@given(st.text(alphabet="\\boxed{}text$, 1.-/frac\n", max_size=200), st.text(max_size=50))
def test_any_text_is_compared_without_an_exception(one: str, other: str) -> None:
    inside = boxed(one)
    assert inside is None or inside in one
    assert same_answer(one, one) and same_answer(one, other) is same_answer(other, one)
    assert isinstance(plain(other), str)

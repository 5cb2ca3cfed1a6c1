import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data.problem import Role
from trimtab.data.tasks.files.roles import NumbersOf, number_roles
from trimtab.data.tasks.numbers import numbers_in

Q, C, X = Role.QUANTITY, Role.CATEGORY, Role.INDEX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann has 12 apples and buys 3.5 kg more for $1,250.50", [("12", Q), ("3.5", Q), ("1,250.50", Q)]),
        ("On the 2nd day of the 21st week he ate 1/3rd of it", [("2", X), ("21", X), ("1", Q), ("3", Q)]),
        ("On day 3 they read page 40 and did step 2.", [("3", X), ("40", X), ("2", X)]),
        ("Every day 3 people come, and each week 20 leave", [("3", Q), ("20", Q)]),
        ("Bus 12 stops at gate 4 with 30 people", [("12", C), ("4", C), ("30", Q)]),
        ("He goes by bus 2 hours a day", [("2", Q)]),
        ("Box A4 costs more than #5 and No. 7, COVID-19 aside", [("4", C), ("5", C), ("7", C), ("19", C)]),
        ("From 3:30 to 5 pm and at 11 a.m.", [("3", C), ("30", C), ("5", C), ("11", C)]),
        ("In a ratio of 7:11", [("7", Q), ("11", Q)]),
        ("Born in 1998, she saved 1998 coins since 2010.", [("1998", C), ("1998", Q), ("2010", C)]),
        ("On July 19th and December 4 he may 5 times", [("19", X), ("4", X), ("5", Q)]),
        ("16GB and a 3x5 card, 20% off", [("16", Q), ("3", Q), ("5", Q), ("20", Q)]),
        ("He sprints 3*3=<<3*3=9>>9 times\n#### 9", [(digit, Q) for digit in "333399"] + [("9", Q)]),
        ("nothing here", []),
    ],
)
def test_the_role_of_each_number_is_as_listed(text: str, expected: list[tuple[str, Role]]) -> None:
    assert [(text[start:end], role) for start, end, role in number_roles(text)] == expected


@given(st.text(alphabet="0123456789.,:#/-$% adbusmpt\n", max_size=60) | st.text())
def test_every_number_of_any_text_has_one_role(text: str) -> None:
    numbers = number_roles(text)
    assert [(number.start, number.end) for number in numbers] == [
        (number.start, number.end) for number in numbers_in(text)
    ]
    for start, end, role in numbers:
        assert any(character in "0123456789" for character in text[start:end])
        assert role in (Q, C, X)


def test_numbers_computed_on_access_equal_the_numbers_of_the_text() -> None:
    numbers = NumbersOf("3 apples, 5 pm")
    assert list(numbers) == list(number_roles("3 apples, 5 pm"))
    assert len(numbers) == 2
    assert numbers[1].role is C
    assert numbers[:1] == number_roles("3 apples, 5 pm")[:1]
    assert numbers == NumbersOf("3 apples, 5 pm") != NumbersOf("3")
    assert hash(numbers) == hash(NumbersOf("3 apples, 5 pm"))

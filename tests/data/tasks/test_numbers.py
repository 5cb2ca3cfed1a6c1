from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data.tasks.numbers import final_number, gold_number, numbers_in, same_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#### 18", "18"),
        ("9 * 2 = 18\n#### 18", "18"),
        ("#### 1,234,567", "1234567"),
        ("#### 12,34,567", "1234567"),  # the official grader takes all commas out
        ("#### -3.50", "-3.5"),
        ("####18", "18"),
        ("#### $18.00 and so on, 7 more", "18"),
        ("#### -$5", "-5"),
        ("#### $-5", "-5"),
        ("#### **42**", "42"),
        ("#### \u22127", "-7"),
        ("#### 18.\nQuestion: 3 + 4?\n#### 7", "18"),
        ("#### Step 1\nso it is 18\n#### 18", "18"),
        ("#### The answer is 18 apples, not 20", "18"),
        ("####\n#### 5", "5"),
        ("She has 5 left.", "5"),
        ("5 + 3 = 8", "8"),
        ("10-4", "4"),
        ("(2)-4", "4"),
        ("it is -4", "-4"),
        ("costs $1,250.75.", "1250.75"),
        ("75%", "75"),
        ("3,4", "4"),
        ("1,2345", "2345"),
        ("the answer is 1,23,456", "123456"),
        ("-$12,34,567.50 in all", "-1234567.5"),
        ("1,23,4567", "4567"),
        ("123,45,678", "45678"),
        ("1234,567", "567"),
        (".5", "0.5"),
        ("No.5", "5"),
        ("the 12th", "12"),
        ("18 \n\n", "18"),
        ("007", "7"),
        ("#### 1 000", "1000"),
        ("#### 1 234 567.5 m", "1234567.5"),
        ("#### $12 000.", "12000"),
        ("#### 1\u202f000", "1000"),
        ("#### 18 and 200 more", "18"),
        ("#### 1234 567", "1234"),
        ("#### 12 3456", "12"),
        ("2 000", "2000"),
        (" -$2 000.50 \n", "-2000.5"),
        ("2 000 or 3", "3"),
        ("costs 2\u00a0000 euros", "2000"),
        ("it is 12\u2009345\u2009678", "12345678"),
        ("12\u20093456", "3456"),
        ("1.5e3", "1500"),
        ("#### 1.5e3", "1500"),
        ("#### 2E-2 m", "0.02"),
        ("so 3e+2.", "300"),
        ("3e2x", "2"),
        ("1e3.5", "3.5"),
        ("#### 7e", "7"),
        ("2e1234", "1234"),
        ("#### it is 1 000", "1000"),
    ],
)
def test_the_final_number(text: str, value: str) -> None:
    assert final_number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "none", "####", "5 apples\n#### five", "\u0665", "####\n5"])
def test_texts_without_a_final_number(text: str) -> None:
    assert final_number(text) is None
    assert not same_number(text, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", "18"),
        ("1,000", "1000"),
        ("12,34,567", "1234567"),
        ("-3.50", "-3.5"),
        ("$18", "18"),
        ("$18$", "18"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("\u22127", "-7"),
        ("50%", "50"),
        ("5 €", "5"),
        ("**42**", "42"),
        ("18.", "18"),
        ("1,23,456", "123456"),
        ("1\u202f000.5", "1000.5"),
        ("1.5e3", "1500"),
        (".5", "0.5"),
    ],
)
def test_a_plain_number_is_a_right_answer(text: str, value: str) -> None:
    assert gold_number(f"#### {text}") == Decimal(value) == final_number(f"#### {text}")
    assert gold_number(f"3 + 4 = 7\n#### {text}\n") == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1/2",
            "2 1/2",
            "5 1/2 hours",
            "½",
            "1,5",
            "1,23",
            "1,2345",
            "1,000,00",
            "1.000,50",
            "1.000.000",
            "1.5.2",
            "12 34",
            "1 234",
            "12 345.50",
            "1,23,4567",
        ),
        *("1'000", "1_000", "3:30", "3:30 pm", "5-6", "5 - 6", "5–6", "2 million", "3 dozen", "two", "1e5.5"),
        *("\\boxed{18}", "\\frac{1}{2}", "5^2", "x^{2}", "2π", "√2", "5²"),
    ],
)
def test_an_ambiguous_number_is_not_accepted_as_a_right_answer(text: str) -> None:
    assert gold_number(text) is None
    assert gold_number(f"#### {text}") is None


def test_a_right_answer_in_words_is_its_last_number() -> None:
    for text, value in {
        "She has 5 left.": 5,
        "5 apples": 5,
        "It costs $1,250.75.": Decimal("1250.75"),
        "12 or 5": 5,
    }.items():
        assert gold_number(text) == value
    for text in ("#### 5 apples", "#### 5\n#### 6", "#### 5\nor 6", "####", "no number"):
        assert gold_number(text) is None


@given(text=st.text(alphabet="0123456789 ,.#/:-$%e\u00a0x\n") | st.text())
def test_a_right_answer_equals_the_final_number_of_its_text(text: str) -> None:
    gold = gold_number(text)
    assert gold is None or gold == final_number(text)


SPELLINGS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-", "+", "\u2212", "$", "-$", "$-", "€"]),
        st.integers(0, 10**9).flatmap(
            lambda n: st.sampled_from(
                [str(n), f"{n:,}", *(f"{n:,}".replace(",", space) for space in " \u00a0\u2009\u202f"), indian(n)]
            )
        ),
        st.sampled_from(["", ".", ".5", ".50", "e2", "E-2", "%", " %", " €", ".25%"]),
    ),
)


def indian(number: int) -> str:
    head, tail = divmod(number, 1000)
    groups = f"{head:_}"[::-1].replace("_", "")
    pairs = [groups[i : i + 2][::-1] for i in range(0, len(groups), 2)][::-1]
    return f"{','.join(pairs)},{tail:03d}" if head else str(number)


@given(text=SPELLINGS | st.text(alphabet="0123456789 ,.-$%e*\u00a0", max_size=14))
def test_a_right_answer_is_right_in_every_sentence(text: str) -> None:
    gold = gold_number(f"#### {text}")
    if gold is None:
        return
    for frame in ("{}", " {}\n", "#### {}", "The answer is {}", "The answer is {}.", "x = {}, so", "It is {} apples"):
        assert final_number(frame.format(text)) == gold
        assert final_number(frame.format(format(gold, "f"))) == gold


def test_numbers_are_located_with_their_values() -> None:
    text = "On day 3, -1,200 of 5.5 kg (10-4) at .25"
    numbers = list(numbers_in(text))
    assert [text[start:end] for start, end, _ in numbers] == ["3", "1,200", "5.5", "10", "4", ".25"]
    assert [value for _, _, value in numbers] == [Decimal(v) for v in ("3", "-1200", "5.5", "10", "4", "0.25")]


@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=2), lead=st.sampled_from(["", "#### ", "so: "]))
def test_every_decimal_is_read_back(value: Decimal, lead: str) -> None:
    assert final_number(f"{lead}{value:,f}") == value
    assert final_number(f"{lead}{value:f} kg.") == value


@given(text=st.text())
def test_any_text_is_accepted(text: str) -> None:
    final_number(text)
    assert all(text[start:end].strip("0123456789,.") == "" for start, end, _ in numbers_in(text))


@pytest.mark.parametrize(
    "part",
    [
        "1 234 ",
        "12,34,",
        "1\u2009234\u2009",
        "1e5",
        "1,234,",
        "9",
        "####",
        "1,2345",
        "-",
        "$",
        "#### ,",
        ".",
        "1.",
        "#### 1\n",
    ],
)
def test_a_text_of_a_million_characters_takes_linear_time(part: str) -> None:
    text = part * (1_000_000 // len(part)) + "5"
    final_number(text)
    assert any(True for _ in numbers_in(text))


def test_final_numbers_are_compared_by_value() -> None:
    assert same_number("It is 18.0 in all", "#### 18")
    assert not same_number("It is 18.5 in all", "#### 18")

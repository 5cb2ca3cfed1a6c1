import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.boundary import StrictJsonError, WrittenFloat, strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_python_writes_is_read_back(value: object) -> None:
    assert strict_json(json.dumps(value)) == value
    assert strict_json(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "an object in it has the key 'a' twice, with 1 and with 3"),
        (b'[{"a": {"q": "x", "q": []}}]', "an object in it has the key 'q' twice, with 'x' and with a list"),
        (b'{"a\\u001b": 1, "a\\u001b": 1}', r"the key 'a\x1b' twice"),
        (b"[NaN]", "it is not valid JSON (NaN is not a number)"),
        (b'{"a": -Infinity}', "it is not valid JSON (-Infinity is not a number)"),
        (b"1e999", "the number 1e999 in it is too large"),
        (b"-1E-400", "the number -1E-400 in it is too small"),
        (b"9" * 5000, "a number in it is too large"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b'\n{"a": }', "it is not valid JSON (Expecting value, line 2, column 7)"),
        (b'"a\n"', "it is not valid JSON (Invalid control character at, line 1, column 3)"),
        (b'{\n"a": "\xff"}', "byte 8 of it (0xff, in line 2) is not UTF-8 (invalid start byte)"),
        (b"", "it is not valid JSON (Expecting value, line 1, column 1)"),
        (b"1 2", "it is not valid JSON (Extra data, line 1, column 3)"),
    ],
)
def test_the_error_for_bad_json_names_the_line_and_column(content: bytes, reason: str) -> None:
    with pytest.raises(StrictJsonError) as error:
        strict_json(content)
    assert reason in str(error.value)
    assert len(str(error.value)) < 300


def test_one_line_is_named_by_its_column_alone() -> None:
    with pytest.raises(StrictJsonError, match=r"\(Expecting value, column 7\)"):
        strict_json(b'{"a": }', one_line=True)


def test_infinities_are_numbers_where_they_are_allowed() -> None:
    assert strict_json("[Infinity, -Infinity]", infinite=True) == [float("inf"), float("-inf")]
    for content in ("NaN", "1e999", '{"a": 1, "a": 1}'):
        with pytest.raises(StrictJsonError):
            strict_json(content, infinite=True)


WRITTEN = ["1.10", "1e2", "1E+2", "-0", "-0.0", "0e0", "3.14159265358979323846", "100000000000000000000.0", "5e-324"]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_number_keeps_its_spelling(text: str) -> None:
    (number,) = strict_json(f"[{text}]", as_written=True)
    assert isinstance(number, WrittenFloat)
    assert (number.written, float(number)) == (text, float(text))
    assert json.dumps(number) == json.dumps(float(text))
    assert pickle.loads(pickle.dumps(number)).written == text
    assert type(strict_json(text)) is (int if text == "-0" else float)


@given(VALUES)
def test_spelling_changes_no_value(value: object) -> None:
    assert strict_json(json.dumps(value), as_written=True) == value

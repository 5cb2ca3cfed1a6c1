import json

import pytest
from tokenizers import Tokenizer

from trimtab.boundary import foreign
from trimtab.errors import DataError, RunError


def worded(reason: str) -> str:
    return f"the file is damaged: {reason}. Restore it."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("not so"), "not so"),
        (TypeError("'int' object is not iterable"), "TypeError: 'int' object is not iterable"),
        (KeyError("heads"), "KeyError: 'heads'"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (MemoryError(), "it needs more memory than there is"),
        (RecursionError("maximum recursion depth exceeded"), "it is nested too deeply"),
        (RuntimeError(), "RuntimeError"),
        (OverflowError("too\nlarge"), "too large"),
    ],
)
def test_any_error_of_a_parser_becomes_one_of_ours_with_its_reason(error, reason):
    with pytest.raises(DataError) as raised, foreign(DataError, worded):
        raise error
    assert str(raised.value) == f"the file is damaged: {reason}. Restore it."
    assert raised.value.__cause__ is error


def test_a_reason_is_one_short_printable_line():
    with pytest.raises(DataError) as raised, foreign(DataError, worded):
        raise ValueError("\x1b[2J" + "x" * 20_000 + "\nnext")
    assert len(str(raised.value)) < 400
    assert "\x1b" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_our_own_errors_and_interrupts_pass():
    with pytest.raises(RunError, match="mine"), foreign(DataError, worded):
        raise RunError("mine")
    with pytest.raises(KeyboardInterrupt), foreign(DataError, worded):
        raise KeyboardInterrupt
    with pytest.raises(SystemExit), foreign(DataError, worded):
        raise SystemExit(3)


def test_a_real_parser_is_wrapped_by_its_own_error_class():
    with pytest.raises(DataError, match="damaged"), foreign(DataError, worded):
        Tokenizer.from_str("{}")  # raises a bare Exception
    with pytest.raises(DataError, match="nested too deeply"), foreign(DataError, worded):
        json.loads("[" * 100_000)


def test_a_panic_of_a_rust_library_is_an_error_like_others():
    panic = type(
        "PanicException", (BaseException,), {}
    )  # pyo3's class; a library that panics on demand is not to be had
    with pytest.raises(DataError, match="regex"), foreign(DataError, worded):
        raise panic("regex")

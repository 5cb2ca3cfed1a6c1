"""Converting the errors of third-party parsers to errors of Trimtab."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trimtab.boundary.text import printable, shortened
from trimtab.errors import TrimtabError

_TOO_MUCH = {"MemoryError": "it needs more memory than there is", "RecursionError": "it is nested too deeply"}
_UNINFORMATIVE = {"KeyError", "IndexError", "AttributeError", "TypeError", "ZeroDivisionError"}
"""Types whose texts alone do not say what went wrong."""


@contextmanager
def foreign(error_type: type[TrimtabError], worded: Callable[[str], str]) -> Iterator[None]:
    """Wraps one call of a library that reads untrusted input: whatever the call raises becomes `error_type`.

    `worded` makes the whole message from the reason, which is one short line. Errors of Trimtab and interrupts pass unchanged.
    Keep the block to the call itself: a bug in our code inside it would be reported as a fault of the input.

        with foreign(DataError, lambda reason: f"{path} is not a tokenizer: {reason}. Choose another file."):
            tokenizer = Tokenizer.from_file(str(path))
    """
    try:
        yield
    except TrimtabError:
        raise
    except Exception as error:
        raise error_type(worded(reason(error))) from error
    except BaseException as error:
        # pyo3 raises PanicException, a BaseException, where a Rust library panics.
        if type(error).__name__ != "PanicException":
            raise
        raise error_type(worded(reason(error))) from error


def reason(error: BaseException) -> str:
    """An error in one short line, with its type where the text alone does not say what went wrong."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return reason_of(
        next((name for name in names if name in _TOO_MUCH or name in _UNINFORMATIVE), names[0]), str(error)
    )


def reason_of(kind: str, text: str) -> str:
    """The line that `reason` gives for an error of the type named `kind` with this text."""
    if kind in _TOO_MUCH:
        return _TOO_MUCH[kind]
    text = shortened(printable(" ".join(text.split())), 300).rstrip(". ")
    return text if text and kind not in _UNINFORMATIVE else f"{kind}: {text}" if text else kind

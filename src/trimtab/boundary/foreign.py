"""One place where an error of somebody else's parser becomes one of ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trimtab.boundary.text import printable, shortened
from trimtab.errors import TrimtabError


@contextmanager
def foreign(error_type: type[TrimtabError], worded: Callable[[str], str]) -> Iterator[None]:
    """Around one call of a library that reads input of a user's or a stranger's: whatever it raises becomes `error_type`.

    `worded` makes the whole message from the reason, which is one short line. Errors of ours and interrupts pass. Keep the
    block to the call itself: a bug of ours inside it would be reported as a fault of the input.

        with foreign(DataError, lambda reason: f"{path} is no tokenizer: {reason}. Choose another file."):
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
    text = shortened(printable(" ".join(str(error).split())), 300).rstrip(". ")
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError | IndexError | AttributeError | TypeError | ZeroDivisionError) or not text:
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text

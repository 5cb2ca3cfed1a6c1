"""The type checker that the tests put under every function of the package (see conftest.py)."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as static checkers have it


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its annotations, shapes included, checked at every call.

    Left as it is where an annotation cannot be checked at run time: `Self` in a method, a protocol that is only for static
    checks.
    """
    try:
        return _check(function)
    except (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception):
        return function

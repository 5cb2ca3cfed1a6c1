"""The type checker that the tests put under every function of the package (see conftest.py)."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ForwardRef, Literal, get_args, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as static checkers have it
_with_shapes = jaxtyping.jaxtyped


def install(packages: list[str]) -> None:
    """From now on, what is imported of these packages has its annotations checked at every call, tensor shapes included."""
    jaxtyping.jaxtyped = _jaxtyped  # what the import hook decorates with
    jaxtyping.install_import_hook(packages, "tests.runtime_types.checked")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its annotations checked at every call.

    Left as it is where an annotation cannot be checked at run time: `Self` in a method, a protocol that is only for static
    checks.
    """
    try:
        return _check(function)
    except (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception):
        return function


def _jaxtyped(target: Any = None, *, typechecker: Any) -> Any:
    """jaxtyping's decorator where shapes are named, else the type checker alone: that decorator costs 0.1 ms a call."""
    if target is None:
        return functools.partial(_jaxtyped, typechecker=typechecker)
    if inspect.isfunction(target) and not any(map(_needs_jaxtyping, target.__annotations__.values())):
        return checked(target)
    return _with_shapes(target, typechecker=typechecker)


def _needs_jaxtyping(annotation: Any) -> bool:
    """Whether an annotation names a shape, or holds text, which jaxtyping resolves or leaves out."""
    if get_origin(annotation) is Literal:
        return False
    if isinstance(annotation, str | ForwardRef):
        return True
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(map(_needs_jaxtyping, get_args(annotation)))

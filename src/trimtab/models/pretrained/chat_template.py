"""Rendering of chat templates. Runs in a process with limits, so this module imports nothing from Trimtab.

The environment is that of transformers 5 (`transformers/utils/chat_template_utils.py`): an immutable sandbox with the tags
`generation`, `break` and `continue`, and the same filters and globals.
"""

import datetime
import json
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import jinja2.utils


class _Generation(jinja2.ext.Extension):
    """The tag `generation`, which marks the assistant's text; its content is rendered unchanged."""

    tags = {"generation"}  # noqa: RUF012 - the class attribute of jinja2's interface

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller: Any) -> Any:
        return caller()


class _Dict:
    """The global `dict`, without access to the attributes of the class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class _Namespace(jinja2.utils.Namespace):
    """The global `namespace`, which refuses attributes that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        # A template may name an attribute `self`.
        namespace, arguments = args[0], args[1:]
        attributes = dict(*arguments, **kwargs)
        for name in attributes:
            _check(name)
        jinja2.utils.Namespace.__init__(namespace, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check(name)
        super().__setitem__(name, value)


def render(template: str, variables: dict[str, Any]) -> str:
    """Render a chat template; `variables` are JSON values."""
    return _environment().from_string(template).render(variables)


def _environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise, strftime_now=_now, dict=_Dict(), namespace=_Namespace)
    return environment


def render_each(template: str, common: dict[str, Any], each: list[dict[str, Any]]) -> list[list[str | None]]:
    """Render a template for several chats: for each its text and null, or null and the reason why the template refuses it."""
    environment = _environment()
    try:
        compiled = environment.from_string(template)
    except jinja2.exceptions.TemplateSyntaxError as error:
        return [[None, f"TemplateSyntaxError: {error}"] for _ in each]
    results: list[list[str | None]] = []
    for variables in each:
        try:
            results.append([compiled.render({**common, **variables}), None])
        except Exception as error:  # noqa: BLE001 - whatever a template raises is the reason for its refusal
            results.append([None, str(error) or type(error).__name__])
    return results


def _check(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace has no attribute '{name}'")


def _raise(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _now(format: str) -> str:
    return datetime.datetime.now().strftime(format)

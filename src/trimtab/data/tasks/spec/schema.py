"""The JSON Schema of the service specifications, and a check against it."""

from functools import cache
from typing import TYPE_CHECKING, Any

from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A service",
    "type": "object",
    "required": ["name", "port"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z][a-z-]*$(?!\n)"},
        "image": {"type": "string", "pattern": r"^[a-z]+:[0-9]+\.[0-9]+$(?!\n)"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "replicas": {"type": "integer", "minimum": 1, "default": 1},
        "memory": {"type": "string", "pattern": r"^[1-9][0-9]*(Mi|Gi)$(?!\n)"},
        "cpu": {"type": "string", "pattern": r"^[1-9][0-9]*m$(?!\n)"},
        "tracing": {"type": "boolean", "default": False},
        "public": {"type": "boolean", "default": False},
        "restart": {"enum": ["always", "on-failure", "never"], "default": "always"},
        "env": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": r"^[A-Z][A-Z_]*$(?!\n)"},
            "additionalProperties": {"type": ["string", "integer"]},
        },
        "health": {
            "type": "object",
            "required": ["path", "interval"],
            "additionalProperties": False,
            "properties": {
                "path": {"type": "string", "pattern": "^/"},
                "interval": {"type": "integer", "minimum": 1},
                "retries": {"type": "integer", "minimum": 1, "default": 3},
            },
        },
        "volumes": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "size", "mount"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "pattern": r"^[a-z]+$(?!\n)"},
                    "size": {"type": "string", "pattern": r"^[1-9][0-9]*(Mi|Gi)$(?!\n)"},
                    "mount": {"type": "string", "pattern": "^/"},
                },
            },
        },
    },
}
"""Draft 2020-12. Answers have their fields in this order, the environment sorted by name; fields at their default are omitted."""


@cache
def validator() -> "Validator":
    """Returns the validator of the schema. Raises ConfigError if the library `jsonschema` is not installed."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise ConfigError(
            "The task `spec` scores specifications with the library jsonschema, which is not installed. Install it with "
            "pip install 'trimtab[tasks]'."
        ) from error
    return Draft202012Validator(SCHEMA)

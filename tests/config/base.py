"""A small config made of the tests' own components, so that config tests load no torch and need no other package."""

import copy
from typing import Any

_PARTS = "tests.config.parts"


def base() -> dict[str, Any]:
    return {
        "model": {"name": f"{_PARTS}:Model"},
        "episode": {
            "optimizer": {"name": f"{_PARTS}:optimizer"},
            "schedule": {"name": f"{_PARTS}:schedule"},
            "loss": {"name": f"{_PARTS}:Loss"},
        },
    }


def joined(first: Any, second: Any) -> Any:
    """Two mappings as one, the second's values over the first's."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {key: joined(first[key], value) if key in first else value for key, value in second.items()}
    return copy.deepcopy(second)

"""Checks of options that typer does not have."""

import math

from trimtab.errors import ConfigError


def finite(value: float | None) -> float | None:
    """The callback of an option that is a number: bounds alone let `nan` pass. Raises `ConfigError`."""
    if value is not None and not math.isfinite(value):
        raise ConfigError(f"An option has the value {value}, which is not a finite number. Give a finite one.")
    return value

"""Checks of options that typer does not have."""

import math
from pathlib import Path

from trimtab.errors import ConfigError


def finite(value: float | None) -> float | None:
    """The callback of an option that is a number: bounds alone let `nan` pass. Raises `ConfigError`."""
    if value is not None and not math.isfinite(value):
        raise ConfigError(f"An option has the value {value}, which is not a finite number. Give a finite one.")
    return value


def check_free(file: Path, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before any work. Raises `ConfigError`."""
    if file.is_dir():
        raise ConfigError(f"{file} is a folder. Name the file to write.")
    if file.exists() and not overwrite:
        raise ConfigError(f"{file} already exists. Name another file, or add --overwrite.")
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"The folder {file.absolute().parent} does not exist. Create it, or name another file.")

"""Packages of the extra `search`, imported when an optimiser needs them."""

import importlib
from types import ModuleType

from trimtab.errors import ConfigError


def needed(package: str, optimizer: str) -> ModuleType:
    """The imported package. Raises `ConfigError`, which says how to install it, if it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ConfigError(
            f"The optimiser '{optimizer}' needs the package {package}. Install it with: pip install 'trimtab[search]'"
        ) from error

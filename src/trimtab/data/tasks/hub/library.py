"""The `datasets` library as this package uses it: quiet, and without the network unless that is allowed."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import numpy as np

from trimtab.boundary import WrittenFloat, printable, shortened
from trimtab.config.model_paths import cache_folder

_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
_LOCAL = ("file", "local")


@contextmanager
def library(allowed: bool) -> Iterator[None]:
    """The library as it is where the network is allowed, else offline and for local files only; always without its output."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    if not allowed:
        # For the import, which reads them, and for processes that the library may start.
        os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    try:
        import datasets
        import huggingface_hub.constants

        own = [(datasets.config, "HF_HUB_OFFLINE"), (huggingface_hub.constants, "HF_HUB_OFFLINE")]
        # A module that was imported offline stays so; where the network is allowed, the user's own variables decide.
        is_offline = any((before[name] or "").upper() in ("1", "ON", "YES", "TRUE") for name in _OFFLINE)
        shown = datasets.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        verbosity = datasets.logging.get_verbosity()
        datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # its errors are raised too, and worded by us
        earlier = [getattr(module, name) for module, name in own]
        for module, name in own:
            setattr(module, name, not allowed or is_offline)
        try:
            with nullcontext() if allowed else _local_files_only():
                yield
        finally:
            for (module, name), value in zip(own, earlier, strict=True):
                setattr(module, name, value)
            datasets.logging.set_verbosity(verbosity)
            if shown:
                datasets.enable_progress_bars()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _local_files_only() -> Iterator[None]:
    """Within the block fsspec, which resolves every path for the library, knows no protocol but that of local files."""
    # The attribute `fsspec.registry` is not the module of that name.
    modules: list[Any] = [import_module(f"fsspec{part}") for part in ("", ".core", ".generic", ".registry")]
    by_protocol: Callable[[str], type] = modules[0].get_filesystem_class

    def local(protocol: str) -> type:
        if protocol and protocol not in _LOCAL:
            raise ValueError(f"it names {shortened(printable(protocol), 40)}:, and only local files are read")
        return by_protocol(protocol)

    for module in modules:
        module.get_filesystem_class = local
    try:
        yield
    finally:
        for module in modules:
            module.get_filesystem_class = by_protocol


def with_short_floats(value: Any, feature: Any) -> Any:
    """A value of a column with each 16 or 32 bit float in it as the shortest number that is this float: 0.1 as `0.1`.

    As 64 bits, which the library returns, it would be 0.10000000149011612.
    """
    if isinstance(value, float) and (kind := getattr(feature, "dtype", None)) in ("float16", "float32"):
        return WrittenFloat(str(np.dtype(kind).type(value)))
    if isinstance(value, list):
        return [with_short_floats(item, getattr(feature, "feature", None)) for item in value]
    if isinstance(value, dict) and isinstance(feature, Mapping):
        return {key: with_short_floats(item, feature.get(key)) for key, item in value.items()}
    return value


def cache() -> str:
    """The folder in which the library keeps what it has prepared."""
    return str(cache_folder() / "datasets")

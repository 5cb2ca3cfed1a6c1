"""Uses the `datasets` library without output, and without the network unless that is allowed."""

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
    """Within the block the library prints nothing and, unless `allowed`, is offline and reads local files only."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    if not allowed:
        # They are read on import, and by processes that the library may start.
        os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    try:
        import datasets
        import huggingface_hub.constants

        own = [(datasets.config, "HF_HUB_OFFLINE"), (huggingface_hub.constants, "HF_HUB_OFFLINE")]
        # A module that was imported offline stays offline. If the network is allowed, the variables of the user decide.
        is_offline = any((before[name] or "").upper() in ("1", "ON", "YES", "TRUE") for name in _OFFLINE)
        had_progress_bars = datasets.is_progress_bar_enabled()
        datasets.disable_progress_bars()
        verbosity = datasets.logging.get_verbosity()
        datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # its errors are raised as well
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
            if had_progress_bars:
                datasets.enable_progress_bars()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _local_files_only() -> Iterator[None]:
    """Within the block fsspec, which resolves all paths for the library, accepts only the protocol of local files."""
    # The attribute `fsspec.registry` is not the module with that name, so the modules are imported by name.
    modules: list[Any] = [import_module(f"fsspec{part}") for part in ("", ".core", ".generic", ".registry")]
    by_protocol: Callable[[str], type] = modules[0].get_filesystem_class

    def local(protocol: str) -> type:
        if protocol and protocol not in _LOCAL:
            raise ValueError(
                f"it uses the protocol {shortened(printable(protocol), 40)}:, but only local files are read"
            )
        return by_protocol(protocol)

    for module in modules:
        module.get_filesystem_class = local
    try:
        yield
    finally:
        for module in modules:
            module.get_filesystem_class = by_protocol


def with_short_floats(value: Any, feature: Any) -> Any:
    """Returns a value of a column with each 16 or 32 bit float in it as the shortest number that equals this float.

    The library returns 64 bit floats, in which 0.1 would be 0.10000000149011612.
    """
    if isinstance(value, float) and (kind := getattr(feature, "dtype", None)) in ("float16", "float32"):
        return WrittenFloat(str(np.dtype(kind).type(value)))
    if isinstance(value, list):
        return [with_short_floats(item, getattr(feature, "feature", None)) for item in value]
    if isinstance(value, dict) and isinstance(feature, Mapping):
        return {key: with_short_floats(item, feature.get(key)) for key, item in value.items()}
    return value


def cache() -> str:
    """Returns the cache folder of the library."""
    return str(cache_folder() / "datasets")

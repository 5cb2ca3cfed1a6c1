"""The folders from which the user's code, named by a dotted path `package.module:Name`, is imported.

A command imports nothing from the folder that it is called from, except the module that a dotted path names and what the code
of that module imports in its turn. The folder is not on `sys.path`: libraries import optional modules at any time, and a folder
of records from somebody else may hold a file of such a name.
"""

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_named: ContextVar[str | None] = ContextVar("_named", default=None)
"""The top-level module of the dotted path that is being imported."""

_imported: set[str] = set()
"""The top-level modules of all dotted paths that this process has imported."""

_IMPORTERS = ("importlib", "_frozen_importlib", "_frozen_importlib_external", __name__)


class OwnFolder(MetaPathFinder):
    """Finds top-level modules in one folder, for dotted paths and for the modules that it found itself."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._imported: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; None for a module that neither a dotted path names nor code of the folder imports."""
        if path is not None or not (fullname == _named.get() or _importing_module() in self._imported):
            return None
        spec = PathFinder.find_spec(fullname, [self.folder])
        if spec is not None:
            self._imported.add(fullname)
        return spec


def allow_imports_from(folders: Iterable[str | Path]) -> None:
    """Let dotted paths be imported from `folders` where the import path does not have their module."""
    known = [finder.folder for finder in sys.meta_path if isinstance(finder, OwnFolder)]
    for folder in map(str, folders):
        if folder not in known:
            sys.meta_path.append(OwnFolder(folder))


def import_own(module: str, attribute: str) -> Any:
    """The attribute that the dotted path `module:attribute` names. Raises whatever the import raises."""
    top = module.partition(".")[0]
    with _naming(top):
        component = getattr(importlib.import_module(module), attribute)
    _imported.add(top)
    return component


def searched_folders() -> list[str]:
    """The folders that this process imports dotted paths from, for a worker process that is to find the same modules."""
    folders = [finder.folder for finder in sys.meta_path if isinstance(finder, OwnFolder)]
    for name in sorted(_imported):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if spec is None:
            continue
        if spec.submodule_search_locations:
            folders += [str(Path(place).parent) for place in spec.submodule_search_locations]
        elif spec.has_location and spec.origin is not None:
            folders.append(str(Path(spec.origin).parent))
    return list(dict.fromkeys(folders))


@contextmanager
def _naming(module: str) -> Iterator[None]:
    token = _named.set(module)
    try:
        yield
    finally:
        _named.reset(token)


def _importing_module() -> str:
    """The top-level name of the module whose code is executing the import statement."""
    frame = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        top = name.partition(".")[0]
        if name not in _IMPORTERS and top not in _IMPORTERS:
            return top
        frame = frame.f_back  # type: ignore[assignment]
    return ""

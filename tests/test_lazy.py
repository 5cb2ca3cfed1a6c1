"""Names that packages import late."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import trimtab

LAZY = sorted(
    ".".join(file.parent.relative_to(Path(trimtab.__path__[0]).parent).parts)
    for file in Path(trimtab.__path__[0]).rglob("__init__.py")
    if "lazy_names(" in file.read_text()
)


@pytest.mark.parametrize("name", LAZY)
def test_every_public_name_is_found_and_no_module_hides_one(name: str) -> None:
    package = importlib.import_module(name)
    late = set(re.findall(r'^\s+"(\w+)": "trimtab', Path(str(package.__file__)).read_text(), re.MULTILINE))
    assert late
    # Once a module is imported, its package has an attribute of its name, and the late name would not be looked up.
    assert not late & {module.name for module in pkgutil.iter_modules(package.__path__)}
    for public in package.__all__:
        getattr(package, public)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'trimtab.config' has no attribute 'nothing'"):
        importlib.import_module("trimtab.config").nothing  # noqa: B018

"""Where dotted paths are imported from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.boundary.own_code import OwnFolder, allow_imports_from, import_own, searched_folders
from trimtab.config.registry import Registry
from trimtab.errors import ConfigError


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder that dotted paths are imported from; its modules are forgotten afterwards."""
    folder = tmp_path / "own"
    folder.mkdir()
    before, finders = set(sys.modules), list(sys.meta_path)
    allow_imports_from([folder])
    yield folder
    sys.meta_path[:] = finders
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_dotted_path_reaches_a_module_of_the_folder_and_the_import_path_stays_as_it_is(own: Path) -> None:
    (own / "own_losses.py").write_text("class Mine: pass\n")
    before = list(sys.path)
    assert import_own("own_losses", "Mine").__name__ == "Mine"
    assert sys.path == before


def test_code_of_the_folder_imports_its_neighbours_at_once_and_later(own: Path) -> None:
    (own / "first.py").write_text(
        "import second\n\ndef late():\n    import third.inner\n    return third.inner.VALUE\n"
    )
    (own / "second.py").write_text(
        "def later():\n    import importlib\n    return importlib.import_module('fourth').VALUE\n"
    )
    (own / "third").mkdir()
    (own / "third/inner.py").write_text("VALUE = 3\n")
    (own / "fourth.py").write_text("VALUE = 4\n")
    assert import_own("first", "late")() == 3
    assert sys.modules["second"].later() == 4


def test_no_other_code_imports_from_the_folder(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a library does that tries an optional module while a component of the user's own is imported."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library/some_library.py").write_text(
        "try:\n    import optional_part\nexcept ModuleNotFoundError:\n    optional_part = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "library")
    (own / "optional_part.py").write_text("raise SystemExit('executed')\n")
    (own / "using_it.py").write_text("import some_library\n\ndef part():\n    return some_library.optional_part\n")
    assert import_own("using_it", "part")() is None
    with pytest.raises(ModuleNotFoundError):
        import optional_part  # noqa: F401


def test_a_file_named_as_a_module_of_the_standard_library_is_not_taken(own: Path) -> None:
    (own / "colorsys.py").write_text("raise SystemExit('executed')\n")
    assert callable(import_own("colorsys", "rgb_to_hsv"))


def test_a_worker_is_given_the_folders_of_all_modules_that_dotted_paths_named(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package/of_users").mkdir(parents=True)
    (tmp_path / "package/of_users/losses.py").write_text("class Mine: pass\n")
    monkeypatch.syspath_prepend(tmp_path / "package")
    import_own("of_users.losses", "Mine")
    folders = searched_folders()
    assert str(own) in folders and str(tmp_path / "package") in folders
    script = (
        "import json, sys\nfrom trimtab.boundary.own_code import import_own, allow_imports_from\n"
        "allow_imports_from(json.loads(sys.argv[1]))\nprint(import_own('of_users.losses', 'Mine').__name__)"
    )
    command = [sys.executable, "-P", "-c", script, json.dumps(folders)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "Mine\n", done.stderr


def test_a_folder_is_searched_once(own: Path) -> None:
    allow_imports_from([own, str(own)])
    assert [finder.folder for finder in sys.meta_path if isinstance(finder, OwnFolder)].count(str(own)) == 1


@pytest.mark.parametrize("raised", ["ValueError('mine')", "ZeroDivisionError", "RecursionError", "KeyError('k')"])
def test_whatever_a_module_of_the_users_own_raises_is_one_line(own: Path, raised: str) -> None:
    (own / "raising.py").write_text(f"raise {raised}\n")
    with pytest.raises(ConfigError, match=r"^at: the thing 'raising:Mine' could not be imported \(.+\)\. A component"):
        Registry("thing", {}).load("raising:Mine", "at: ")

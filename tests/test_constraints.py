"""constraints.txt pins the installed versions, and pyproject.toml states lower bounds."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.version import Version

from trimtab.cli.constraints import canonical, closure, lowest, main

FILE = Path(__file__).parents[1] / "constraints.txt"


@pytest.fixture(scope="module")
def pinned() -> dict[str, str]:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert len(pins) == len(lines), "a package is pinned twice"
    return pins


def test_every_pin_is_exact_and_canonical(pinned: dict[str, str]) -> None:
    for name, pin in pinned.items():
        assert name == canonical(name)
        assert re.fullmatch(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?", pin), f"{name}=={pin}"


def test_every_pinned_package_that_is_installed_has_the_pinned_version(pinned: dict[str, str]) -> None:
    installed = {}
    for name in pinned:
        try:
            installed[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue  # needed on another platform or Python only
    assert len(installed) > 50
    assert installed == {name: pinned[name] for name in installed}


def test_every_direct_and_indirect_dependency_is_pinned(pinned: dict[str, str]) -> None:
    needed = closure()
    assert needed == {name: pinned.get(name, "not pinned") for name in needed}


def test_the_pinned_torch_has_a_cpu_build_and_no_cuda_package_is_pinned(pinned: dict[str, str]) -> None:
    assert pinned["torch"] == "2.13.0"
    assert not [name for name in pinned if name.startswith(("nvidia-", "cuda-")) or name == "triton"]


def test_extras_add_to_the_core_dependencies() -> None:
    core, whole = closure(extras=frozenset()), closure()
    assert core.items() < whole.items()
    assert "torch" in core
    assert "pytest" not in core
    assert "tensorboard" in whole
    assert "tensorboard" not in core
    assert "trimtab" not in whole


def test_the_lowest_versions_are_of_what_users_install_and_below_the_pins(pinned: dict[str, str]) -> None:
    ends = lowest()
    assert {"torch", "transformers", "datasets", "tensorboard"} <= set(ends)
    assert not {"pytest", "ruff", "trimtab"} & set(ends)
    assert all(Version(end) <= Version(pinned[name]) for name, end in ends.items())


def test_an_unknown_package_is_an_error() -> None:
    with pytest.raises(PackageNotFoundError):
        closure("no-such-distribution")


def test_the_file_is_what_the_command_prints(capsys: pytest.CaptureFixture[str], pinned: dict[str, str]) -> None:
    main()
    printed = capsys.readouterr().out.splitlines()
    kept = FILE.read_text(encoding="utf-8").splitlines()
    assert [line for line in printed if line.startswith("#")] == [line for line in kept if line.startswith("#")]
    assert set(printed) <= set(kept)
    assert printed == sorted(
        printed, key=lambda line: (not line.startswith("#"), line.partition("==")[0] if "==" in line else "")
    )

import subprocess
import sys

import pytest

import trimtab


@pytest.mark.parametrize("name", trimtab.__all__)
def test_every_export_can_be_imported(name: str) -> None:
    assert getattr(trimtab, name) is not None
    assert name in dir(trimtab)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'trimtab' has no attribute 'Trainr'"):
        _ = trimtab.Trainr


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = {"torch", "numpy", "matplotlib", "tokenizers", "safetensors", "scipy", "jaxtyping"}


@pytest.mark.parametrize(
    "code",
    [
        "import trimtab",
        "import trimtab.config",
        "from trimtab import EpisodeConfig, load_config",
        "import typer; from trimtab.cli.commands import app; typer.main.get_command(app)",
    ],
)
def test_importing_the_package_loads_no_heavy_module(code: str) -> None:
    assert not loaded_by(code) & HEAVY


def test_the_check_of_loaded_modules_detects_torch() -> None:
    assert "torch" in loaded_by("from trimtab import Streams")

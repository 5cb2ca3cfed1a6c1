"""Commands called in a folder full of modules that Python, a library or a command of ours tries to import."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from tests.experiments.specs import SMALL
from tests.training.small_runs import DECODER, config
from trimtab.training import train

TRIMTAB = Path(sys.executable).with_name("trimtab")

RECORD = """
import sys
from importlib.abc import MetaPathFinder

missing = set()

class Recorder(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if path is None:
            missing.add(fullname)

sys.meta_path.append(Recorder())
import matplotlib.pyplot, rich.console, rich.table, safetensors.torch, tokenizers, torch, transformers, trimtab.cli.main
import torch.utils.tensorboard, trimtab.experiments, trimtab.memory.run, trimtab.models.pretrained.loading
from transformers import AutoModelForCausalLM, AutoTokenizer
print(*sorted(missing))
"""
"""Prints the modules that importing what we use tries to import and does not find."""


def called(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [TRIMTAB, *arguments], cwd=folder, env=clean, capture_output=True, text=True, timeout=300, check=False
    )


def lay(folder: Path, names: set[str]) -> Path:
    """Write a module of each name; the file that they leave when they are executed."""
    mark = folder.parent / "executed"
    for name in names:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r} + ' ')\n")
    return mark


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("from") / "stranger"
    train(config("episode.steps=4", "episode.checkpoint_every=2", base=DECODER), folder / "run")
    (folder / "mine.yaml").write_text(yaml.safe_dump(SMALL, sort_keys=False))
    return folder


def test_listing_runs_in_a_strangers_folder_executes_none_of_its_files(stranger: Path) -> None:
    mark = lay(stranger, {"org", "queue", "typer", "rich", "yaml", "sqlite3", "json", "trimtab", "sitecustomize"})
    for arguments in (["list", "."], ["show", "run"]):
        done = called(stranger, *arguments)
        assert done.returncode == 0, done.stderr
    assert not mark.exists(), mark.read_text()


@pytest.mark.slow
def test_no_command_executes_a_file_of_the_folder_that_it_is_called_in(stranger: Path) -> None:
    recorded = subprocess.run([sys.executable, "-P", "-c", RECORD], capture_output=True, text=True, check=True)
    missing = set(recorded.stdout.split())
    assert missing  # at least torch tries some optional modules
    mark = lay(stranger, missing | set(sys.stdlib_module_names) | set(packages_distributions()))
    commands = [
        ["list", "."],
        ["show", "run"],
        ["components"],
        ["models", "list"],
        ["sample", "run", "--prompt", "The ", "--tokens", "3"],
        ["replay", "run"],
        ["resume", "run"],
        ["run", "mine.yaml", "--out", "experiment", "--workers", "2", "--pilot"],
        ["report", "experiment"],
    ]
    for arguments in commands:
        done = called(stranger, *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        assert not mark.exists(), f"{arguments} executed {mark.read_text()}"

"""A YAML that is given to the wrong command is sent to the right one."""

from pathlib import Path

import pytest

from tests.training.small_runs import ROOT
from trimtab.cli.kinds import kind_in
from trimtab.config import ConfigError, kind_named
from trimtab.config.load import load_root
from trimtab.experiments import load_experiment
from trimtab.experiments.searching.config import SearchConfig
from trimtab.memory.config import MemoryConfig
from trimtab.training.config import load_config

CONFIGS = ROOT / "configs"


@pytest.mark.parametrize(
    ("load", "file", "words"),
    [
        (
            load_config,
            "memory_arithmetic",
            "describes a memory run, and this command needs a training run.* `trimtab memory run`",
        ),
        (load_config, "demo", "describes an experiment.* `trimtab run`"),
        (load_experiment, "memory_arithmetic", "describes a memory run, and this command needs an experiment"),
        (load_experiment, "baseline", "describes a training run.* `trimtab train`"),
        (
            lambda path: load_root(MemoryConfig, path),
            "memory_margin",
            "describes an experiment, and this command needs a memory run",
        ),
        (lambda path: load_root(MemoryConfig, path), "baseline", "describes a training run"),
    ],
)
def test_the_right_command_is_named(load, file: str, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=words):
        load(CONFIGS / f"{file}.yaml")


def test_every_shipped_config_is_taken_by_its_own_command() -> None:
    for path in sorted(CONFIGS.glob("*.yaml")):
        text = path.read_text()
        if "\narms:" in text or "\nclaim:" in text:
            continue  # tests/experiments/test_shipped.py loads the experiments
        root = {"memory": MemoryConfig, "search": SearchConfig}.get(path.stem.partition("_")[0])
        if (kind := kind_in(path)) is not None:
            root = kind_named(kind).schema
        try:
            load_config(path) if root is None else load_root(root, path)
        except ConfigError as error:
            assert "describes" not in str(error), path.name


def test_a_config_of_neither_kind_is_left_to_its_own_errors(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text("seed: 3\n")
    assert load_config(tmp_path / "few.yaml").seed == 3

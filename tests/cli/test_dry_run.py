"""`trimtab train --dry-run`: a config is checked whole, and nothing is written."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.metacognition.recipe.test_run import TINY
from tests.training.small_runs import DECODER, options
from trimtab.cli.commands import app
from trimtab.config import ConfigError, DataError
from trimtab.config.yaml_file import dump_yaml

RUNNER = CliRunner()


def test_a_training_config_is_built_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = RUNNER.invoke(app, ["train", "--dry-run", *options(DECODER)], catch_exceptions=False)
    assert done.exit_code == 0 and "valid: " in done.output and "24 steps of 4 examples" in done.output
    result = RUNNER.invoke(
        app, ["train", "--dry-run", "--json", "--out", "run", *options(DECODER)], catch_exceptions=False
    )
    facts = json.loads(result.stdout)
    assert facts["valid"] and facts["steps"] == 24 and len(facts["config_hash"]) == 64
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_would_refuse_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no key .stepz. here"):
        RUNNER.invoke(app, ["train", "--dry-run", "--set", "episode.stepz=3"], catch_exceptions=False)
    with pytest.raises(DataError, match="too short"):
        RUNNER.invoke(app, ["train", "--dry-run", "--set", "data.context=10000000"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="needs a folder for the run: --out DIR"):
        RUNNER.invoke(app, ["train", *options(DECODER)], catch_exceptions=False)


def test_a_config_of_another_kind_is_checked(tmp_path: Path) -> None:
    (tmp_path / "thinking.yaml").write_text(dump_yaml(TINY))
    done = RUNNER.invoke(app, ["train", str(tmp_path / "thinking.yaml"), "--dry-run"], catch_exceptions=False)
    assert done.exit_code == 0 and "valid: a config of a thinking run" in done.output
    with pytest.raises(ConfigError):
        RUNNER.invoke(
            app,
            ["train", str(tmp_path / "thinking.yaml"), "--dry-run", "--set", "observe.problems=60"],
            catch_exceptions=False,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["thinking.yaml"]

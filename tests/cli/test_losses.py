"""`trimtab losses check` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab.cli.commands import app


def test_losses_with_their_stated_bias_are_listed() -> None:
    done = CliRunner().invoke(app, ["losses", "check", "cross_entropy", "focal"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["loss", "parameters", "fitted", "stated", "measured", "confidence", "contexts", "KL"]
    assert lines[1].split()[:4] == ["cross_entropy", "alone", "none", "none"] and "as stated" in lines[1]
    assert lines[2].split()[:4] == ["focal", "alone", "under", "under"]


def test_json_has_one_entry_per_fit() -> None:
    done = CliRunner().invoke(app, ["losses", "check", "ranked_probability", "{name: focal, gamma: 4}", "--json"])
    assert done.exit_code == 0
    beside, alone, focal = json.loads(done.stdout)
    assert (beside["weight"], beside["conditional"], beside["measured"]) == (0.3, False, "none")
    assert (alone["weight"], alone["conditional"], alone["measured"]) == (None, True, "none")
    assert (focal["stated"], focal["measured"], focal["parameters"]) == (None, "under", {"gamma": 4})
    assert focal["confidence_bias"] < -0.1 and focal["converged"]


def test_a_wrongly_stated_bias_gives_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stated.py").write_text(
        "from trimtab.losses.focal import Focal\n\n\nclass Wrong(Focal):\n    bias = 'over'\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "trimtab.cli.main", "losses", "check", "stated:Wrong"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "NOT AS STATED" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("focl", "there is no loss 'focl'. Did you mean 'focal'"),
        ("{name: focal, gama: 1}", "gama: there is no key 'gama'"),
        ("{gamma: 1}", "does not name a loss"),
        ("{name: focal", "not valid YAML"),
        ("no_such_package:Loss", "could not be imported"),
    ],
)
def test_unusable_input_is_refused(argument: str, words: str) -> None:
    from trimtab.config import ConfigError

    done = CliRunner().invoke(app, ["losses", "check", argument])
    assert isinstance(done.exception, ConfigError)
    assert words in str(done.exception)


def test_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["losses", "check", "--help"])
    assert "trimtab losses check focal my_package.losses:MyLoss" in done.stdout
    assert "check" in CliRunner().invoke(app, ["losses", "--help"]).stdout

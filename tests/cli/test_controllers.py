"""`trimtab controller fit` on the records of a small experiment."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.experiments.ledgers import LEDGER, make_ledger
from tests.experiments.specs import spec
from tests.experiments.test_run import QUIET
from trimtab.cli.commands import app
from trimtab.config import ConfigError
from trimtab.errors import RunError
from trimtab.experiments import run_experiment
from trimtab.regimes.policy import load_policy


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ledger(tmp_path_factory.mktemp("ledger") / "e")


def fit(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["controller", "fit", *map(str, arguments)])


@pytest.mark.parametrize("method", ["ridge", "q"])
def test_a_policy_is_fitted_and_the_same_records_give_the_same_bytes(ledger: Path, tmp_path: Path, method: str) -> None:
    done = fit(ledger, "--out", tmp_path / "a", "--method", method)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "in 3 runs have a measured effect on val_loss; 1 seed of 3 held out." in lines[0]
    assert lines[2].split()[:2] == ["action", "held"]
    assert "never acting: 0" in done.stdout or "would make none of the" in done.stdout
    assert lines[-1].startswith("Policy in ")
    card = load_policy(tmp_path / "a").card
    assert (card["method"], card["metric"], card["horizons"], card["ledger"]["seeds"]) == (
        method,
        "val_loss",
        [6],
        [0, 1, 2],
    )
    again = fit(ledger, "--out", tmp_path / "b", "--method", method, "--json")
    result = json.loads(again.stdout)
    assert (result["card"], result["held_out_seeds"]) == (card, [1])
    for name in ("policy.json", "policy.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_policy_is_replaced_and_nothing_else_is(ledger: Path, tmp_path: Path) -> None:
    fit(ledger, "--out", tmp_path / "policy")
    before = (tmp_path / "policy/policy.json").read_bytes()
    assert fit(ledger, "--out", tmp_path / "policy", "--metric", "train_loss").exit_code == 0
    assert (tmp_path / "policy/policy.json").read_bytes() != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    done = fit(ledger, "--out", tmp_path / "mine")
    assert isinstance(done.exception, ConfigError) and "holds more than a policy: notes.txt" in str(done.exception)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"
    (tmp_path / "policy/notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to("policy")
    for out in ("policy", "link"):
        done = fit(ledger, "--out", tmp_path / out)
        assert isinstance(done.exception, ConfigError) and "holds more than a policy: notes.txt" in str(done.exception)
    assert (tmp_path / "policy/notes.txt").read_text() == "mine"


def test_the_discount_is_for_fitted_q_only(ledger: Path, tmp_path: Path) -> None:
    done = fit(ledger, "--out", tmp_path / "policy", "--discount", "0.98")
    assert isinstance(done.exception, ConfigError) and "--discount is for --method q" in str(done.exception)
    for discount in ([], ["--discount", "0.98"], ["--discount", "0.5"]):
        done = fit(ledger, "--out", tmp_path / "policy", "--method", "q", *discount)
        assert done.exit_code == 0
        assert load_policy(tmp_path / "policy").card["discount"] == float((discount or ["0.98"])[-1])


def edited(ledger: Path, folder: Path, effect: object) -> Path:
    """A copy of the ledger in which one effect is another, and one run has no effects."""
    shutil.copytree(ledger, folder)
    (folder / "interventions/exploring/seed-2/effects.json").unlink()
    path = folder / "interventions/exploring/seed-0/effects.json"
    content = json.loads(path.read_text())
    content["interventions"][0]["effect"]["val_loss"] = effect
    path.write_text(json.dumps(content))
    run_experiment(spec(**{**LEDGER, "seeds": [7, 8]}), folder.with_name("more"), QUIET)
    return folder


def test_effects_that_are_missing_or_not_finite_are_named(ledger: Path, tmp_path: Path) -> None:
    folders = edited(ledger, tmp_path / "e", "nan"), tmp_path / "more"
    done = fit(*folders, "--out", tmp_path / "policy")
    assert done.exit_code == 0, done.output
    assert "4 of 5 runs have effects; the others are left out." in done.stdout
    assert "1 effect recorded as nan or infinite: counted as not measured." in done.stdout
    result = json.loads(fit(*folders, "--out", tmp_path / "policy", "--json").stdout)
    assert (result["runs"], result["recorded"], result["not_finite"]) == (4, 5, 1)


def test_an_effect_that_is_too_large_is_refused_without_a_policy(ledger: Path, tmp_path: Path) -> None:
    folders = edited(ledger, tmp_path / "e", 1e308), tmp_path / "more"
    done = fit(*folders, "--out", tmp_path / "policy")
    assert isinstance(done.exception, ConfigError) and "The largest is 1e+308" in str(done.exception)
    assert not (tmp_path / "policy").exists()


def test_a_folder_without_decisions_is_refused(tmp_path: Path) -> None:
    done = fit(tmp_path, "--out", tmp_path / "policy")
    assert isinstance(done.exception, RunError) and "is not the folder of an experiment" in str(done.exception)
    assert not (tmp_path / "policy").exists()

"""Installed packages add a kind of run, a component and an executor with new files alone; they are the documented ones."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.test_examples import block
from tests.training.small_runs import DECODER, config
from trimtab.config import REGISTRIES, ConfigError, RunError, run_kinds
from trimtab.experiments import RunOptions, load_experiment, run_experiment
from trimtab.records import runs
from trimtab.reports.kinds import write_report
from trimtab.training import resume, train

EXPERIMENT = {
    "question": "Can a coin with three heads in four tosses be distinguished from a fair one?",
    "episodes": "coin",
    "claim": {"metric": "heads", "higher_is_better": True, "margin": 0.05},
    "arms": {"fair": {}, "loaded": {"bias": 0.75}},
    "seeds": 8,
    "tosses": 200,
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with installed packages: modules and metadata, as pip leaves them."""
    place = tmp_path / "site"
    for name, code, points in (
        ("newest", block("Newest"), "[trimtab.executors]\nnewest = newest:newest\n"),
        ("coin", block("CoinConfig"), "[trimtab.kinds]\ncoin = coin:COIN\n"),
        (
            "tame",
            block("Smoothed") + '\n\nCOMPONENTS = {"loss": {"tame": "tame:Smoothed"}}\n',
            "[trimtab.components]\ntame = tame:COMPONENTS\n",
        ),
    ):
        about = place / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (place / f"{name}.py").write_text(code)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(points)
    return place


@pytest.fixture
def known(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process finds the installed packages."""

    def forget() -> None:
        run_kinds.cache_clear()
        vars(REGISTRIES).pop("_by_kind", None)

    monkeypatch.syspath_prepend(str(installed))
    forget()
    yield
    monkeypatch.undo()
    forget()
    REGISTRIES["loss"]._entries.pop("tame", None)
    for name in ("coin", "tame", "newest"):
        sys.modules.pop(name, None)


def spec(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "coin.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT | changes))
    return path


@pytest.mark.usefixtures("known")
def test_arms_of_an_added_kind_of_run_are_compared(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_experiment(load_experiment(spec(tmp_path)), out)
    (verdict,) = [v for v in json.loads((out / "verdicts.json").read_text()) if v["metric"] == "heads"]
    assert (verdict["verdict"], verdict["n"]) == ("superior", 8)
    assert verdict["mean_difference"] == pytest.approx(0.25, abs=0.03)
    write_report(out)
    assert "superior" in (out / "report.md").read_text()
    run = out / "episodes/loaded/seed-3"
    assert len(runs(out)) == 16
    with pytest.raises(RunError, match="holds a coin run, which has no training steps"):
        resume(run)
    with pytest.raises(RunError, match="holds a coin run, for which there is no report"):
        write_report(run)


@pytest.mark.usefixtures("known")
def test_an_added_executor_gives_the_same_verdicts(tmp_path: Path) -> None:
    experiment = load_experiment(spec(tmp_path))
    for name in ("newest", "inline"):
        run_experiment(experiment, tmp_path / name, RunOptions(executor=name))
    assert (tmp_path / "newest/verdicts.json").read_bytes() == (tmp_path / "inline/verdicts.json").read_bytes()
    with pytest.raises(
        ConfigError, match="there is no executor 'newes'. Did you mean 'newest'. Known: inline, newest, "
    ):
        run_experiment(experiment, tmp_path / "other", RunOptions(executor="newes"))
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("known")
def test_a_claim_that_the_kind_does_not_have_is_refused(tmp_path: Path) -> None:
    claim = {"metric": "tails", "higher_is_better": True, "margin": 0.05}
    wanted = r"no episode of the arm 'fair' \(a coin run each\) has a metric 'tails'. They have heads."
    with pytest.raises(ConfigError, match=wanted):
        load_experiment(spec(tmp_path, claim=claim))
    wanted = "noise_floor: this key works only for training runs, but `episodes` is 'coin'"
    with pytest.raises(ConfigError, match=wanted):
        load_experiment(spec(tmp_path, noise_floor=2))
    with pytest.raises(ConfigError, match="there is no kind of run 'coyn'. Did you mean 'coin'. Known: training, "):
        load_experiment(spec(tmp_path, episodes="coyn"))


@pytest.mark.usefixtures("known")
def test_an_added_component_has_its_short_name(tmp_path: Path) -> None:
    assert "tame" in REGISTRIES["loss"]
    assert (
        train(config("episode.loss={name: tame, share: 0.2}", base=DECODER), tmp_path / "run")["status"] == "completed"
    )


@pytest.mark.usefixtures("known")
def test_a_package_that_takes_a_name_that_is_taken_is_named(installed: Path) -> None:
    (installed / "tame.py").write_text('COMPONENTS = {"loss": {"cross_entropy": "tame:Mine"}}')
    with pytest.raises(ConfigError, match="[Tt]he loss 'cross_entropy' is registered twice.* by the package tame"):
        len(REGISTRIES)


@pytest.mark.usefixtures("known")
def test_a_package_whose_kind_cannot_be_imported_is_named(installed: Path) -> None:
    (installed / "coin.py").write_text("import nothing_of_this_name")
    with pytest.raises(
        ConfigError, match=r"The entry point 'coin' \(coin:COIN\) of the package coin cannot be imported: "
    ):
        run_kinds()


@pytest.mark.slow
def test_processes_and_commands_find_what_is_installed(installed: Path, tmp_path: Path) -> None:
    def trimtab(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "trimtab.cli.main", *map(str, arguments)],
            capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"PYTHONPATH": str(installed)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    path = spec(tmp_path)
    for workers in (0, 2):
        trimtab("run", path, "--out", tmp_path / f"out-{workers}", "--workers", workers)
    assert (tmp_path / "out-0/verdicts.json").read_bytes() == (tmp_path / "out-2/verdicts.json").read_bytes()
    assert "tosses: 200" in trimtab("show", tmp_path / "out-0/episodes/loaded/seed-3")
    assert "tame" in trimtab("components", "loss")

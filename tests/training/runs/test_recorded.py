"""The config of a run of somebody else's: nothing that it names is executed unless it is allowed."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_runs import DECODER, config
from trimtab.config import RunError, config_hash, permission
from trimtab.training import fork, replay, resume, train
from trimtab.training.runs.chaos import chaos
from trimtab.training.runs.sampling import load_model, sample_run
from trimtab.training.runs.state_after_step import state_after_step

HOSTILE = "hostile_part:Part"
CONTROLLER = """
from trimtab.regimes import Controller

class Part(Controller):
    def update(self, state, episode_config):
        return None
"""


@pytest.fixture(autouse=True)
def nothing_is_allowed(code_of_the_tests: None) -> Iterator[None]:
    token = permission._permission.set(permission.Permission())
    yield
    permission._permission.reset(token)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable module that leaves a file when it is imported, as a package of the user's that somebody knows of would."""
    folder = tmp_path / "importable"
    folder.mkdir()
    mark = tmp_path / "executed"
    (folder / "hostile_part.py").write_text(f"open({str(mark)!r}, 'w').close()\n{CONTROLLER}")
    monkeypatch.syspath_prepend(folder)
    yield mark
    sys.modules.pop("hostile_part", None)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(config("episode.steps=4", "episode.checkpoint_every=2", base=DECODER), out)
    return out


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded, tmp_path / "run")
    return tmp_path / "run"


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}


def rewrite(run: Path, change: Callable[[dict[str, Any]], None], *, hashed: bool = True) -> None:
    path = run / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest["config"])
    if hashed:
        manifest["config_hash"] = config_hash(manifest["config"])
    path.write_text(json.dumps(manifest))


def with_loss(config: dict[str, Any]) -> None:
    config["episode"]["loss"] = {"name": HOSTILE}


def with_hook(config: dict[str, Any]) -> None:
    config["hooks"].append({"name": HOSTILE, "enabled": False})


def with_tokenizer(config: dict[str, Any]) -> None:
    config["data"]["tokenizer"] = {"name": HOSTILE}


def with_task(config: dict[str, Any]) -> None:
    config["data"] |= {"name": "task", "task": {"name": HOSTILE}}


def with_nested_loss(config: dict[str, Any]) -> None:
    config["episode"]["loss"] = {"name": "sum", "terms": [{"name": HOSTILE, "weight": 1.0}]}


OPTIONS: dict[str, Any] = {"tokens": 1, "temperature": 1.0, "top_k": None, "top_p": None}
COMMANDS: dict[str, Callable[..., Any]] = {
    "resume": lambda run, **allow: resume(run, **allow),
    "resume --set": lambda run, **allow: resume(run, ["episode.steps=5"], accept_changes=True, **allow),
    "replay": lambda run, **allow: replay(run, **allow),
    "fork": lambda run, **allow: fork(run, 2, run.parent / "child", **allow),
    "chaos": lambda run, **allow: chaos(run, 1, steps=1, discard=0, **allow),
    "sample": lambda run, **allow: sample_run(run, prompt="The", options=OPTIONS, seed=0, **allow),
    "models export": lambda run, **allow: load_model(run, **allow),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("change", [with_loss, with_hook, with_tokenizer, with_task, with_nested_loss])
def test_code_that_a_manifest_names_is_refused_before_it_is_imported(
    command: str, change: Callable[[dict[str, Any]], None], run: Path, hostile: Path
) -> None:
    rewrite(run, change)
    before = contents(run)
    with pytest.raises(RunError, match=rf"manifest\.json names code to execute: '{HOSTILE}' .*--allow-code"):
        COMMANDS[command](run)
    assert not hostile.exists()
    assert contents(run) == before
    assert not (run.parent / "child").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_imported_where_it_is_allowed(command: str, run: Path, hostile: Path) -> None:
    rewrite(run, lambda config: config["episode"].update(regime_controller={"name": HOSTILE}))
    COMMANDS[command](run, allow_code=True)
    assert hostile.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_hash_is_compared_before_anything_is_imported(command: str, run: Path, hostile: Path) -> None:
    rewrite(run, with_loss, hashed=False)
    with pytest.raises(RunError, match="its hash is not the recorded one"):
        COMMANDS[command](run, allow_code=True)
    assert not hostile.exists()


def test_a_forks_parent_is_read_with_the_same_care(run: Path, hostile: Path) -> None:
    """A manifest may name any folder as its parent, and a state between checkpoints is made by running the parent."""
    fork(run, 2, run.parent / "child", ["episode.steps=3"])
    rewrite(run, with_loss)
    (run.parent / "child/summary.json").unlink()
    for folder in (run.parent / "child/checkpoints").iterdir():
        (folder / "state.json").unlink()
        (folder / "model.safetensors").unlink()
        (folder / "optimizer.safetensors").unlink()
        folder.rmdir()
    for folder in (run / "checkpoints").iterdir():
        (folder / "state.json").write_text("{}")
    for command in (resume, replay):
        with pytest.raises(RunError, match="names code to execute|is intact"):
            command(run.parent / "child")
        assert not hostile.exists()
    with pytest.raises(RunError, match="names code to execute|is intact"):
        state_after_step(run, 1)
    assert not hostile.exists()


def test_a_component_named_by_the_command_needs_no_permission(run: Path) -> None:
    changes = ["episode.regime_controller={name: 'tests.training.parts:Skipper'}"]
    fork(run, 2, run.parent / "child", changes)
    with pytest.raises(RunError, match="names code to execute"):
        resume(run.parent / "child")


@pytest.mark.parametrize(
    ("value", "words"), [(float("nan"), "NaN is not a number"), ("\ud800", "its hash is not the recorded one")]
)
def test_a_config_that_no_hash_can_be_made_of_is_refused(run: Path, value: object, words: str) -> None:
    rewrite(run, lambda config: config.update(seed=value), hashed=False)
    with pytest.raises(RunError, match=words):
        resume(run)

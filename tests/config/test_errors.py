"""Wrong configs: one clear paragraph with the file, the line, the key, what was found and what to do."""

from pathlib import Path
from typing import Any

import pytest

from tests.config.base import base, joined
from trimtab.config import ConfigError
from trimtab.training.config import load_config, resolve_config


def refusal(changes: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve_config(joined(base(), changes), source="run.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("run.yaml: ")
    return message


CASES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"sead": 1}, ("sead: there is no key 'sead' here. Did you mean 'seed'?", "Known keys: seed, threads,")),
    ({"episode": {"stepz": 1}}, ("episode.stepz: there is no key 'stepz'", "Did you mean 'steps'?")),
    (
        {"episode": {"early_stopping": {"patiance": 1}}},
        ("episode.early_stopping.patiance:", "Did you mean 'patience'?"),
    ),
    ({"model": {"widht": 1}}, ("model.widht:", "Did you mean 'width'?", "Known keys: name, preset, width, heads.")),
    ({"data": {"tokeniser": None}}, ("data.tokeniser:", "Did you mean 'tokenizer'?")),
    (
        {"hooks": [{"name": "tests.config.parts:Hook", "layers": "x", "enable": True}]},
        ("hooks[0].enable:", "'enabled'?"),
    ),
    ({"hooks": [{"name": "tests.config.parts:Hook"}]}, ("hooks[0].layers: the key 'layers' is missing. Add it.",)),
    ({"faults": [{"wrong": 1}]}, ("faults[0].name: the key 'name' is missing. Add it.",)),
    ({"model": {"name": "decodr"}}, ("model: there is no model 'decodr'. Did you mean 'decoder'?", "dotted path")),
    ({"faults": [{"name": "x"}]}, ("faults[0]: there is no fault 'x'. Known: corrupted_data",)),
    ({"seed": "4"}, ('seed: it should be a whole number; found "4" (text). Change that value.',)),
    ({"seed": -1}, ("seed: it should be greater than or equal to 0; found -1",)),
    ({"episode": {"steps": True}}, ("episode.steps: it should be a whole number; found true",)),
    ({"episode": {"steps": 2.5}}, ("episode.steps:", "found 2.5 (a number)")),
    ({"episode": {"clip": 0}}, ("episode.clip: it should be greater than 0; found 0",)),
    ({"episode": {"precision": "fp16"}}, ("it should be 'auto', 'bf16' or 'fp32'; found \"fp16\" (text)",)),
    ({"episode": {"sample": {"top_p": 1.5}}}, ("episode.sample.top_p:", "less than or equal to 1; found 1.5")),
    ({"threads": "x"}, ("threads: it should be a whole number or 'auto'; found \"x\" (text).",)),
    ({"threads": 0}, ("threads: it should be greater than or equal to 1 or 'auto'; found 0",)),
    ({"threads": 2.0}, ("threads: it should be a whole number or 'auto'; found 2.0",)),
    ({"episode": {"optimizer": {"lr": -1}}}, ("episode.optimizer.lr: it should be greater than 0; found -1",)),
    ({"episode": {"optimizer": {"betas": [0.9, 1]}}}, ("episode.optimizer.betas[1]: it should be less than 1",)),
    (
        {"episode": {"optimizer": {"betas": [0.9]}}},
        ("episode.optimizer.betas[1]: the list is too short: this entry is missing",),
    ),
    (
        {"episode": {"optimizer": "adamw"}},
        ("episode.optimizer: it should be a component, written {name: NAME, key: value}",),
    ),
    ({"model": None}, ("model: it should be a component, written {name: NAME", "found null.")),
    ({"monitor": 3}, ("monitor: it should be a mapping of keys to values; found 3 (a whole number).",)),
    ({"hooks": None}, ("hooks: it should be a list; found null.",)),
    ({"hooks": [4]}, ("hooks[0]: it should be a component",)),
    ({"model": {"heads": 3}}, ("model: tests.config.parts:Model: heads (3) must divide width (8).",)),
    ({"data": {"context": 0}}, ("data.context: it should be greater than or equal to 1; found 0",)),
    ({"data": {"path": 3}}, ("data.path: it should be text or a list; found 3",)),
    ({"data": {"path": ["a", 3]}}, ("data.path[1]: it should be text; found 3",)),
    ({"seed": float("inf")}, ("seed: inf is not a finite number.",)),
    ({"seed": {1, 2}}, ("seed: a set ({1, 2}) cannot be a value in a config.",)),
    ({3: 4}, ("the key 3 is a whole number; keys are text. Quote it.",)),
    ({"data": {"path": "a\udcff"}}, ("data.path: 'a\\udcff' is not valid Unicode",)),
]


@pytest.mark.parametrize(("changes", "parts"), CASES, ids=[parts[0][:50] for _, parts in CASES])
def test_the_error_names_the_key_and_the_bad_value(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    message = refusal(changes)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("lr", "Did you mean 'episode.optimizer.lr'?"),
        ("temperature", "Did you mean 'episode.sample.temperature' or 'episode.task_eval.temperature'?"),
        ("steps", "Did you mean 'episode.steps'?"),
        ("patience", "Did you mean 'episode.early_stopping.patience' or 'monitor.patience'?"),
        ("sead", "Did you mean 'seed'?"),
        ("nothing_like_it", "here. Known keys: seed"),
    ],
)
def test_an_unknown_key_that_is_known_deeper_in_the_config_is_hinted_at(key: str, hint: str) -> None:
    assert hint in refusal({key: 1})


def test_a_long_value_is_shortened() -> None:
    message = refusal({"seed": "x" * 1000})
    assert len(message) < 200
    assert "…" in message


def test_an_unknown_key_comes_first_and_the_others_are_counted() -> None:
    message = refusal({"seed": "x", "sead": 1, "threads": "many"})
    assert "there is no key 'sead'" in message
    assert message.endswith("(2 more such problems after this one.)")


def test_the_members_of_a_union_count_as_one_problem() -> None:
    assert "more such" not in refusal({"threads": "x"})
    assert "more such" not in refusal({"data": {"path": [3]}})


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("no_such_package.losses:Mine", ("could not be imported (No module named", "PYTHONPATH")),
        ("tests.config.parts:Missing", ("could not be imported (AttributeError", "'Missing'")),
        (":Missing", ("could not be imported (Empty module name",)),
        (".parts:Loss", ("could not be imported (TypeError",)),
        ("tests.config.parts:NOT_A_COMPONENT", ("is a float; a loss must be a class or a function",)),
        ("tests.config.parts:Positional", ("the parameter 'temperature' is not keyword-only", "after a *")),
        ("tests.config.parts:unannotated", ("the parameter 'temperature' has no type annotation",)),
        ("tests.config.parts:reserved", ("the parameter 'name' has a reserved name",)),
        ("tests.config.parts:shadowing", ("the parameter 'copy' has a reserved name",)),
        ("tests.config.parts:forward_reference", ("'Missing' is not defined",)),
        ("builtins:dict", ("does not say how to configure it",)),
    ],
)
def test_the_error_says_why_a_users_object_cannot_be_a_component(name: str, parts: tuple[str, ...]) -> None:
    message = refusal({"episode": {"loss": {"name": name}}})
    assert message.startswith("run.yaml: episode.loss: ")
    for part in parts:
        assert part in message


def test_a_module_with_a_syntax_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_losses.py").write_text("def mine(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    message = refusal({"episode": {"loss": {"name": "broken_losses:mine"}}})
    assert "invalid syntax" in message
    assert "broken_losses.py, line 1" in message


def test_the_files_line_is_named_and_an_overridden_key_is_not_blamed_on_it(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 1\nepisode:\n  steps: 0\nthreads: 2\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}, line 3: episode.steps: ")
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["episode.steps=-5"])
    assert str(caught.value).startswith("--set: episode.steps: it should be greater than or equal to 1; found -5")
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["episode={clip: 0}"])
    assert str(caught.value).startswith("--set: episode.clip: ")

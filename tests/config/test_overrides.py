import re
from typing import Any

import pytest

from tests.config.base import base
from trimtab.config import ConfigError, apply_overrides, set_key
from trimtab.training.config import RunConfig, load_config


def applied(data: dict[str, Any], *overrides: str) -> dict[str, Any]:
    apply_overrides(data, overrides, RunConfig)
    return data


def test_keys_and_lists() -> None:
    assert applied({}, "seed=3", "episode.steps=5", "episode.clip=null") == {
        "seed": 3,
        "episode": {"steps": 5, "clip": None},
    }
    assert applied({"hooks": [{"name": "a"}]}, "hooks[0].every=2") == {"hooks": [{"name": "a", "every": 2}]}
    assert applied({}, "hooks[0].name=a", "hooks[1]={name: b}") == {"hooks": [{"name": "a"}, {"name": "b"}]}
    assert applied({"hooks": [{"name": "a"}, {"name": "b"}]}, "hooks=[]") == {"hooks": []}
    assert applied({"episode": None}, "episode.steps=2") == {"episode": {"steps": 2}}
    assert applied({"m": {"betas": [0.9, 0.95]}}, "m.betas[1]=0.5") == {"m": {"betas": [0.9, 0.5]}}
    assert applied({}, "data.path=a=b") == {"data": {"path": "a=b"}}


def test_later_options_win() -> None:
    assert applied({"seed": 1}, "seed=2", "seed=3") == {"seed": 3}


def test_naming_another_component_drops_the_old_ones_parameters() -> None:
    given = {"episode": {"optimizer": {"name": "adamw", "lr": 1.0, "eps": 2.0}}}
    assert applied(given, "episode.optimizer.name=sgd") == {"episode": {"optimizer": {"name": "sgd"}}}
    assert applied(
        {"episode": {"optimizer": {"lr": 1.0}}}, "episode.optimizer.name=sgd", "episode.optimizer.lr=2.0"
    ) == {"episode": {"optimizer": {"name": "sgd", "lr": 2.0}}}


def test_naming_the_same_component_keeps_them() -> None:
    given = {"episode": {"optimizer": {"name": "adamw", "lr": 1.0}}}
    assert applied(given, "episode.optimizer.name=adamw") == {"episode": {"optimizer": {"name": "adamw", "lr": 1.0}}}
    assert applied({"model": {"layers": 2}}, "model.name=decoder") == {"model": {"layers": 2, "name": "decoder"}}


def test_keys_beside_a_components_parameters_are_kept() -> None:
    hooks = {"hooks": [{"name": "a", "enabled": False, "every": 3}]}
    assert applied(hooks, "hooks[0].name=b") == {"hooks": [{"name": "b", "enabled": False}]}
    data = {"data": {"name": "corpus", "path": "x", "tokenizer": {"name": "file", "path": "t"}}}
    assert applied(data, "data.name=mine") == {"data": {"name": "mine", "tokenizer": {"name": "file", "path": "t"}}}


def test_a_key_called_name_elsewhere_is_an_ordinary_key() -> None:
    assert applied({"model": {"name": "m", "part": {"name": "a", "x": 1}}}, "model.part.name=b") == {
        "model": {"name": "m", "part": {"name": "b", "x": 1}}
    }


@pytest.mark.parametrize("override", ["seed", "=3", " =3", ""])
def test_an_option_without_a_key_or_a_value(override: str) -> None:
    with pytest.raises(ConfigError, match="--set takes key=value"):
        apply_overrides({}, [override])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("episode..steps", "'' is not a key"),
        ("hooks[x].name", r"'hooks\[x\]' is not a key"),
        ("hooks[0", "is not a key"),
        ("[0].name", "is not a key"),
        ("seed.x", "'seed' is the plain value 1; it has no keys"),
        ("hooks[2].name", r"'hooks' has 1 entries, so the next place is \[1\], not \[2\]"),
        ("hooks[2]", r"'hooks' has 1 entries"),
        ("hooks.name", r"'hooks' is a list; write hooks\[0\].name"),
        ("episode[0]", r"'episode' is a mapping, not a list"),
        ("episode[0].x", r"'episode' is a mapping, not a list"),
    ],
)
def test_a_key_that_leads_nowhere(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--set .*{message}"):
        set_key({"seed": 1, "episode": {}, "hooks": [{"name": "a"}]}, key, 1)


def test_the_value_is_yaml(tmp_path: Any) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(str(base()))
    config = load_config(path, ["episode.optimizer.lr=1e-3", "threads=auto", "data.path=null", "model.heads=4"])
    assert config.episode.optimizer.spec["lr"] == 1e-3
    assert config.data.spec["path"] is None
    assert config.model.spec["heads"] == 4


@pytest.mark.parametrize(
    "key", ["data.path", "seed", "episode", "hooks", "model.preset", "episode.clip", "hooks[0].every"]
)
def test_an_empty_value_is_refused_for_every_key(key: str) -> None:
    for text in ("", " ", "# a comment"):
        with pytest.raises(ConfigError, match=re.escape(f"--set {key}: there is no value")):
            load_config(None, [f"{key}={text}"])


@pytest.mark.parametrize(
    "override",
    [
        "seed=1180591620717411303424", "episode.steps=1" + "0" * 30, "seed=" + "9" * 5000, "episode.optimizer.lr=1e400",
        "a." * 3000 + "b=1", "hooks[99999999999999999999].x=1", "hooks[" + "9" * 5000 + "]=1", "x" * 9000 + "=1",
        "seed." + "x" * 9000 + "=1", "x" * 9000, "model={x: " + "y" * 9000 + "}", "seed='" + "y" * 9000 + "'",
        'data.path="\\ud800"', "model.preset={}", "model={name: {}}", "model={name: [x]}", "data.tokenizer=17",
    ],
)  # fmt: skip
def test_an_extreme_value_is_refused_in_one_short_sentence(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert len(str(caught.value)) < 1000

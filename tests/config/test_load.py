"""Resolving: defaults filled in, one hash for one meaning."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.base import base, joined
from trimtab.config import ConfigError, config_hash
from trimtab.training.config import RunConfig, load_config, resolve_config


def plain(config: RunConfig) -> dict[str, Any]:
    dumped: dict[str, Any] = config.model_dump(mode="json")
    return dumped


def test_every_default_is_filled_in() -> None:
    config = resolve_config(base())
    assert config.model.spec == {"name": "tests.config.parts:Model", "preset": None, "width": 8, "heads": 2}
    assert config.episode.optimizer.spec["betas"] == [0.9, 0.95]
    assert config.data.spec["context"] == 256
    assert config.data.tokenizer.spec == {"name": "character", "policy": "printable_newline_tab"}
    assert config.episode.schedule.spec["warmup"] == 0


def test_the_given_mapping_is_left_as_it_was() -> None:
    given_data = joined(base(), {"data": {"context": 64}})
    before = copy.deepcopy(given_data)
    resolve_config(given_data)
    assert given_data == before


def test_a_component_without_a_name_is_its_slots_default() -> None:
    named = resolve_config(joined(base(), {"data": {"name": "corpus", "context": 64}}))
    assert resolve_config(joined(base(), {"data": {"context": 64}})) == named
    policy = {"data": {"tokenizer": {"policy": "ascii128"}}}
    assert resolve_config(joined(base(), policy)).data.tokenizer.spec == {"name": "character", "policy": "ascii128"}


def test_a_preset_fills_in_missing_parameters_and_does_not_override_given_ones() -> None:
    large = resolve_config(joined(base(), {"model": {"preset": "large"}})).model.spec
    assert (large["width"], large["heads"]) == (512, 8)
    wider = resolve_config(joined(base(), {"model": {"preset": "large", "width": 1024}})).model.spec
    assert (wider["width"], wider["heads"]) == (1024, 8)


def test_hooks_keep_their_switch_and_their_order() -> None:
    name = "tests.config.parts:Hook"
    hooks = [{"name": name, "layers": "a", "enabled": False}, {"name": name, "layers": "b"}]
    resolved = resolve_config(joined(base(), {"hooks": hooks})).hooks
    assert [(hook.enabled, hook.spec["layers"], hook.spec["every"]) for hook in resolved] == [
        (False, "a", 10),
        (True, "b", 10),
    ]


def test_a_config_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "seed: 3\nmodel: {name: 'tests.config.parts:Model', width: 4}\nepisode:\n"
        "  optimizer: {name: tests.config.parts:optimizer, lr: 3e-4}\n"
        "  schedule: {name: tests.config.parts:schedule}\n  loss: {name: tests.config.parts:Loss}\n"
    )
    config = load_config(path, ["model.heads=1"])
    assert (config.seed, config.model.spec["width"], config.model.spec["heads"]) == (3, 4, 1)
    assert config.episode.optimizer.spec["lr"] == 3e-4
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")


# --- the hash --------------------------------------------------------------------------------------------------------


def shuffled(value: Any, draw: Any) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, draw) for item in value]
    return value


def without_defaults(value: Any, draw: Any) -> Any:
    """The resolved config with some keys left out whose value is the default one."""
    kept = joined(base(), {})
    for key in draw(st.sets(st.sampled_from(sorted(value)))):
        if key not in ("model", "episode"):
            kept[key] = value[key]
    for key in draw(st.sets(st.sampled_from(sorted(value["episode"])))):
        kept["episode"][key] = value["episode"][key]
    return kept


@given(st.data())
def test_the_hash_does_not_depend_on_key_order_or_on_writing_defaults_out(data: st.DataObject) -> None:
    config = resolve_config(base())
    full = plain(config)
    assert config_hash(resolve_config(shuffled(full, data.draw))) == config_hash(config)
    assert config_hash(resolve_config(without_defaults(full, data.draw))) == config_hash(config)


def test_resolving_again_changes_nothing() -> None:
    config = resolve_config(
        joined(base(), {"model": {"preset": "large"}, "hooks": [{"name": "tests.config.parts:Hook", "layers": "x"}]})
    )
    again = resolve_config(plain(config))
    assert again == config
    assert config_hash(again) == config_hash(config)


def test_a_whole_number_for_a_float_is_the_same_config() -> None:
    one = resolve_config(joined(base(), {"episode": {"clip": 1}}))
    assert config_hash(one) == config_hash(resolve_config(joined(base(), {"episode": {"clip": 1.0}})))


OTHER_VALUES: dict[tuple[str, ...], st.SearchStrategy[Any]] = {
    ("seed",): st.integers(0, 2**63 - 1),
    ("threads",): st.integers(1, 64),
    ("device",): st.sampled_from(["cpu", "cuda", "mps"]),
    ("data", "context"): st.integers(1, 4096),
    ("data", "path"): st.text(st.characters(codec="utf-8"), min_size=1),
    ("data", "tokenizer", "policy"): st.sampled_from(["printable", "ascii128"]),
    ("model", "width"): st.integers(1, 512).map(lambda n: 2 * n),
    ("episode", "steps"): st.integers(1, 2**63 - 1),
    ("episode", "clip"): st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
    ("episode", "lr_factor"): st.floats(0, allow_infinity=False),
    ("episode", "optimizer", "lr"): st.floats(0, exclude_min=True, allow_infinity=False),
    ("episode", "optimizer", "betas"): st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=2),
    ("episode", "sample", "prompt"): st.text(st.characters(codec="utf-8"), min_size=1),
    ("episode", "early_stopping"): st.just({}),
    ("monitor", "horizon"): st.integers(2, 2**63 - 1),
    ("hooks",): st.just([{"name": "tests.config.parts:Hook", "layers": "x"}]),
}


@given(st.data())
def test_the_hash_changes_when_any_value_changes(data: st.DataObject) -> None:
    config = resolve_config(base())
    path = data.draw(st.sampled_from(list(OTHER_VALUES)))
    value: Any = data.draw(OTHER_VALUES[path])
    change = value
    for key in reversed(path):
        change = {key: change}
    other = resolve_config(joined(base(), change))
    assert (config_hash(other) == config_hash(config)) == (plain(other) == plain(config))
    default: Any = plain(config)
    for key in path:
        default = default[key]
    assert (config_hash(other) == config_hash(config)) == (value == default)


# --- what ships ------------------------------------------------------------------------------------------------------


def test_without_a_file_every_default_holds() -> None:
    config = load_config()
    assert (config.model.name, config.data.name, config.episode.optimizer.name) == ("decoder", "corpus", "adamw")
    assert config.model.spec["width"] == 256
    assert config.episode.optimizer.spec == {
        "name": "adamw", "lr": 3e-4, "weight_decay": 0.1, "betas": [0.9, 0.95], "eps": 1e-8,
    }  # fmt: skip
    assert load_config(None, ["model={name: decoder, layers: 4}", "episode.clip=1"]) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.heads=3"], "--set: model: decoder: heads: .*256"),
        (["episode.optimizer.lr=-1"], r"--set: episode.optimizer.lr: it should be greater than 0; found -1"),
        (["episode.optimizer.name=sgd", "episode.optimizer.betas=[0, 0]"], "no key 'betas' here.*momentum"),
        (["episode.optimizer.name=adamv"], "Did you mean 'adamw'"),
        (["hooks[0].name=gradient_clip", "hooks[0].norm=0"], r"--set: hooks\[0\].norm: it should be greater than 0"),
        (["data.stride=0"], "--set: data.stride: it should be greater than or equal to 1"),
        (["data.tokenizer.policy=latin"], "data.tokenizer.policy: it should be 'printable'"),
    ],
)
def test_wrong_parameters_of_what_ships(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, overrides)

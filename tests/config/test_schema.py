import pytest
from pydantic import BaseModel, ValidationError

from trimtab.config import EarlyStopping, EpisodeConfig, MonitorConfig, SampleConfig
from trimtab.config.schema import Component
from trimtab.config.slots import slot_at, slots_of
from trimtab.training.config import DataComponent, HookComponent, RunConfig

MODELS = [Component, DataComponent, HookComponent, EarlyStopping, SampleConfig, EpisodeConfig, MonitorConfig, RunConfig]


@pytest.mark.parametrize("model", MODELS)
def test_every_key_has_a_description(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name}"
        assert field.description.strip() == field.description


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_frozen_and_strict(model: type[BaseModel]) -> None:
    assert model.model_config["frozen"]
    assert model.model_config["strict"]
    assert model.model_config["allow_inf_nan"] is False
    assert model.model_config["extra"] == ("allow" if issubclass(model, Component) else "forbid")


def test_the_keys_that_a_controller_may_change() -> None:
    assert EpisodeConfig.changeable() == {"lr_factor", "clip", "data_mix"}


def test_a_decision_makes_a_new_episode_and_is_validated() -> None:
    episode = EpisodeConfig()
    softer = episode.changed(lr_factor=0.5, clip=None)
    assert (softer.lr_factor, softer.clip, episode.lr_factor) == (0.5, None, 1.0)
    assert softer.optimizer == episode.optimizer
    with pytest.raises(ValidationError, match="clip"):
        episode.changed(clip=-1.0)
    with pytest.raises(ValidationError, match="clipp"):
        episode.changed(clipp=1.0)
    with pytest.raises(ValidationError, match="frozen"):
        episode.clip = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("threads", [0, -1, "all", True, 1.0])
def test_threads(threads: object) -> None:
    with pytest.raises(ValidationError, match="threads"):
        RunConfig.model_validate({"threads": threads})
    assert RunConfig(threads=2).threads == 2
    assert RunConfig(threads="auto").threads == "auto"


def test_a_components_parameters_stand_beside_its_name() -> None:
    component = Component.model_validate({"name": "adamw", "lr": 1e-3})
    assert component.spec == {"name": "adamw", "lr": 1e-3}


def test_slots() -> None:
    assert [slot.kind for slot in slots_of(RunConfig)] == [
        "data", "task", "tokenizer", "model", "optimizer", "schedule", "loss", "regime_controller", "instrument", "fault", "hook",
    ]  # fmt: skip
    by_kind = {slot.kind: slot for slot in slots_of(RunConfig)}
    assert slot_at(RunConfig, ("episode", "optimizer")) is by_kind["optimizer"]
    assert slot_at(RunConfig, ("hooks", 3)) is by_kind["hook"]
    assert slot_at(RunConfig, ("hooks",)) is None
    assert slot_at(RunConfig, ()) is None
    assert slot_at(RunConfig, ("model", "part")) is None
    assert {kind: slot.default for kind, slot in by_kind.items() if slot.default} == {
        "data": "corpus", "tokenizer": "character", "model": "decoder", "optimizer": "adamw", "schedule": "constant",
        "loss": "cross_entropy",
    }  # fmt: skip
    assert {kind: slot.schema_keys for kind, slot in by_kind.items() if slot.schema_keys} == {
        "data": ("task", "tokenizer"), "hook": ("enabled",),
    }  # fmt: skip
    assert [kind for kind, slot in by_kind.items() if slot.many] == ["instrument", "fault", "hook"]

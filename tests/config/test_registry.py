import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab.config import REGISTRIES, ConfigError, Registry
from trimtab.config.registry import accepts

PARTS = "tests.config.parts"


@pytest.fixture
def models() -> Registry:
    return Registry("model", {"small": f"{PARTS}:Model"}, supplied=("vocabulary", "context"))


def test_a_second_entry_of_a_name_shows_both_origins(models: Registry) -> None:
    with pytest.raises(ConfigError, match="'small' is registered twice") as caught:
        models.register("small", "mine.models:Small")
    message = str(caught.value)
    assert f"as {PARTS}:Model by trimtab" in message
    assert "as mine.models:Small by " in message
    assert f"{Path(__file__)}:" in message


def test_two_of_the_callers_own_show_both_lines(models: Registry) -> None:
    models.register("mine", "mine.models:A")
    first = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=f"mine.models:A by {__file__}:{first} and as mine.models:B by {__file__}:"):
        models.register("mine", "mine.models:B")


@pytest.mark.parametrize(("name", "target"), [("a:b", "m:N"), ("a", "m.N")])
def test_a_name_or_target_of_the_wrong_form(models: Registry, name: str, target: str) -> None:
    with pytest.raises(ValueError, match="must be a short name"):
        models.register(name, target)


def test_entries_are_lazy() -> None:
    registry = Registry("loss", {"none": "no_such_package:Nothing"})
    assert "none" in registry
    assert [entry.target for entry in registry] == ["no_such_package:Nothing"]


def test_a_near_name_is_suggested(models: Registry) -> None:
    with pytest.raises(
        ConfigError, match=r"there is no model 'smal'. Did you mean 'small'\? Known: small; or a dotted path"
    ):
        models.load("smal")
    with pytest.raises(ConfigError) as caught:
        models.load("zzz")
    assert "Did you mean" not in str(caught.value)


def test_a_shipped_components_own_import_error_is_not_blamed_on_the_user() -> None:
    with pytest.raises(ModuleNotFoundError):
        Registry("loss", {"broken": "no_such_package:Nothing"}).load("broken")


def test_a_registered_components_import_error_is_the_users(models: Registry) -> None:
    models.register("gone", "no_such_package:Nothing")
    with pytest.raises(ConfigError, match="'gone' could not be imported"):
        models.load("gone")


def test_short_names_and_dotted_paths_resolve_alike(models: Registry) -> None:
    short = models.resolve({"name": "small", "width": 4})
    path = models.resolve({"name": f"{PARTS}:Model", "width": 4})
    assert short == {"name": "small", "preset": None, "width": 4, "heads": 2}
    assert short | {"name": None} == path | {"name": None}


def test_what_the_framework_supplies_cannot_be_set(models: Registry) -> None:
    with pytest.raises(ValidationError, match="vocabulary"):
        models.resolve({"name": "small", "vocabulary": 3})


def test_expand_comes_before_validation_and_check_after(models: Registry) -> None:
    assert models.resolve({"name": "small", "preset": "large"})["width"] == 512
    with pytest.raises(ConfigError, match=r"^here: small: heads \(3\) must divide width \(8\)\.$"):
        models.resolve({"name": "small", "heads": 3}, "here: ")


def test_build_hands_over_the_parameters_as_typed_and_what_the_component_takes_of_the_supplied() -> None:
    registry = Registry("optimizer", {"mine": f"{PARTS}:optimizer"}, supplied=("parameters",))
    built = registry.build(registry.resolve({"name": "mine", "lr": 1}), parameters=[1], unasked=2)
    assert built == {"parameters": [1], "lr": 1.0, "betas": (0.9, 0.95)}
    assert isinstance(built["lr"], float)


def test_parameters_are_described_in_words() -> None:
    registry = Registry("optimizer", {"mine": f"{PARTS}:optimizer"}, supplied=("parameters",))
    lr, betas = registry.parameters("mine")
    assert (lr.name, lr.annotation, lr.default, lr.required, lr.description) == (
        "lr",
        "number > 0",
        3e-4,
        False,
        "learning rate",
    )
    assert betas.annotation == "list of 2: number ≥ 0, < 1, number ≥ 0, < 1"
    (layers, _every) = Registry("hook", {"mine": f"{PARTS}:Hook"}).parameters("mine")
    assert (layers.annotation, layers.required, layers.default) == ("text", True, None)


def test_a_nested_models_parameters_are_listed_under_its_own() -> None:
    sieve, mesh = Registry("data", {"mine": f"{PARTS}:sifted"}).parameters("mine")
    assert (sieve.name, sieve.annotation, sieve.default) == ("sieve", "mapping or null", None)
    assert (mesh.name, mesh.annotation, mesh.default, mesh.description) == (
        "sieve.mesh",
        "whole number ≥ 1",
        3,
        "holes a side",
    )


def test_accepts() -> None:
    def takes(*, a: int, **rest: Any) -> None: ...

    assert accepts(takes, "a")
    assert not accepts(takes, "b")


def test_the_kinds() -> None:
    assert set(REGISTRIES) == {
        "data", "task", "tokenizer", "model", "loss", "optimizer", "schedule", "regime_controller", "hook", "instrument", "fault",
        "frozen_model", "pairs", "modes", "search_optimizer", "search_scheduler",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, entry.name) for kind, registry in REGISTRIES.items() for entry in registry]
)
def test_every_shipped_component_is_documented(kind: str, name: str) -> None:
    registry = REGISTRIES[kind]
    assert inspect.getdoc(registry.load(name))
    for parameter in registry.parameters(name):
        assert parameter.description, f"{kind} {name}: {parameter.name} has no description"
        assert parameter.required or parameter.default is None or parameter.annotation

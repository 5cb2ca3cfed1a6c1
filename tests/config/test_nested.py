"""Components within components."""

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from trimtab.config import REGISTRIES, ConfigError, NestedComponent, Registry, nested_components, resolve_component
from trimtab.config.wording import Source

HERE = "tests.config.test_nested"


class Step(NestedComponent):
    """A schedule for a while."""

    kind: ClassVar[str] = "schedule"

    until: Annotated[int, Field(ge=1, description="its last step")] = 10


def several(
    *,
    steps: int,
    parts: Annotated[tuple[Step, ...], Field(description="one after the other")] = (),
    last: Annotated[Step | None, Field(description="what stays")] = None,
) -> None:
    """Schedules in a row."""


def single(*, steps: int, part: Step, factor: float = 2.0) -> None:
    """A schedule times a factor."""


def clashing(*, steps: int, until: int = 3) -> None:
    """A schedule with a parameter that means something else in a `Step`."""


def resolved(spec: dict[str, Any]) -> dict[str, Any]:
    return resolve_component("schedule", spec, Source("run.yaml"), ("episode", "schedule"))


def test_defaults_are_filled_in_at_every_depth() -> None:
    inner = {"name": f"{HERE}:single", "part": {"name": "linear"}, "until": 4}
    result = resolved({"name": f"{HERE}:several", "parts": [{"name": "constant"}, inner]})
    constant, product = result["parts"]
    assert constant["until"] == 10 and "warmup" in constant
    assert (product["until"], product["factor"], product["part"]["until"]) == (4, 2.0, 10)
    assert result["last"] is None
    assert resolved(result) == result
    assert [spec["name"] for _, spec in nested_components("schedule", result)] == [
        "constant",
        f"{HERE}:single",
        "linear",
    ]


def test_a_component_without_others_has_none() -> None:
    assert list(nested_components("schedule", resolved({"name": "constant"}))) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"parts": [{"name": "constat"}]},
            "run.yaml: episode.schedule.parts[0]: there is no schedule 'constat'. Did you",
        ),
        ({"parts": [{"name": "constant", "warmpu": 1}]}, "episode.schedule.parts[0].warmpu: there is no key 'warmpu'"),
        ({"parts": [{"name": "constant", "until": 0}]}, "episode.schedule.parts[0].until: it should be greater than"),
        (
            {"parts": [{"name": f"{HERE}:clashing"}]},
            "parts[0]: 'tests.config.test_nested:clashing' has a parameter 'until'",
        ),
        ({"parts": [{"name": f"{HERE}:single"}]}, "episode.schedule.parts[0].part: the key 'part' is missing"),
        ({"prats": []}, "episode.schedule.prats: there is no key 'prats' here. Did you mean 'parts'?"),
    ],
)
def test_the_error_names_the_key_of_a_bad_nested_component(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved({"name": f"{HERE}:several", **spec})
    assert words in str(caught.value)


def test_an_optional_one_is_resolved_too() -> None:
    result = resolved({"name": f"{HERE}:several", "last": {"name": "constant"}})
    assert result["last"]["until"] == 10 and "warmup" in result["last"]
    assert [spec["name"] for _, spec in nested_components("schedule", result)] == ["constant"]


def test_they_are_described_as_components() -> None:
    registry = REGISTRIES["schedule"]
    assert isinstance(registry, Registry)
    parts, last = registry.parameters(f"{HERE}:several")
    assert (parts.annotation, last.annotation) == ("list of component", "component or null")

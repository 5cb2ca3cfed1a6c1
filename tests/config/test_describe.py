from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from trimtab.config import EarlyStopping
from trimtab.config.describe import type_text, value_text
from trimtab.config.schema import Component


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "whole number"),
        (float | None, "number or null"),
        (Annotated[int, Field(ge=1)] | Literal["auto"], "whole number ≥ 1 or auto"),
        (Annotated[float, Field(gt=0, le=1, description="x")], "number > 0, ≤ 1"),
        (Literal["a", "b"], "a or b"),
        (tuple[Component, ...], "list of component"),
        (list[str] | str, "list of text or text"),
        (tuple[int, float], "list of 2: whole number, number"),
        (dict[str, bool], "mapping of text to true or false"),
        (EarlyStopping | None, "mapping or null"),
        (Annotated[str, Field(min_length=1)], "text not empty"),
        (Annotated[str, Field(min_length=2, max_length=3)], "text of length ≥ 2, of length ≤ 3"),
        (None, "null"),
        (Any, "any value"),
        (complex, "complex"),
    ],
)
def test_types(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.1, "0.1"),
        (1e-8, "1.0e-08"),
        ("auto", "auto"),
        ("The ", "'The '"),
        ((0.9, 0.95), "[0.9, 0.95]"),
        ((), "[]"),
        (Component(name="adamw"), "{name: adamw}"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert value_text(value) == text

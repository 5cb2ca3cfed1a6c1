"""Problems of a record are said with the key, what it holds and what belongs there, in no words of a library."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tests.records.runs import manifest, summary
from trimtab.records import Manifest, Summary
from trimtab.records.problems import problems_of


class Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str = "a"


class Record(BaseModel):
    model_config = ConfigDict(strict=True)

    count: int = Field(default=0, ge=0, lt=10)
    share: float | None = None
    kind: Literal["a", "b"] = "a"
    part: Part = Part()
    items: list[int] = []
    seeds: int | list[int] = 0
    flag: bool = False
    table: dict[str, float] = {}
    size: float = Field(default=1.0, allow_inf_nan=False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"count": "1"}, 'count holds "1" where a whole number belongs'),
        ({"count": 1.5}, "count holds 1.5 where a whole number belongs"),
        ({"count": True}, "count holds true where a whole number belongs"),
        ({"count": 10}, "count holds 10 where a number of less than 10 belongs"),
        (
            {"count": -(10**5000)},
            "count holds a whole number of more than 20 digits where a number of at least 0 belongs",
        ),
        ({"share": [1]}, "share holds a list where a number belongs"),
        ({"kind": "c"}, "kind holds \"c\" where 'a' or 'b' belongs"),
        ({"part": None}, "part holds null where an object belongs"),
        ({"part": {"name": 1}}, "part.name holds 1 where text belongs"),
        ({"part": {"nom\n": 1}}, "part.nom\\x0a is not a key of this record"),
        ({"items": {}}, "items holds an object where a list belongs"),
        ({"items": [1, "x"]}, 'items.1 holds "x" where a whole number belongs'),
        ({"seeds": "x"}, 'seeds holds "x" where a whole number or a list belongs'),
        ({"flag": 1}, "flag holds 1 where true or false belongs"),
        ({"table": 1}, "table holds 1 where an object belongs"),
        ({"size": float("inf")}, "size holds inf where a finite number belongs"),
        (None, "it holds null where an object belongs"),
        (
            {"count": "x", "flag": 1, "table": 1, "items": 1},
            'count holds "x" where a whole number belongs; items holds',
        ),
    ],
)
def test_a_problem_of_a_record_is_described_in_plain_words(content: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Record).validate_python(content)
    assert problems_of(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (Manifest, {"seed": "0"}, 'seed holds "0" where a whole number belongs'),
        (Manifest, {"data": []}, "data holds a list where an object belongs"),
        (
            Manifest,
            {"created_at": "2026-01-01T00:00:00+24:00"},
            'created_at: "2026-01-01T00:00:00+24:00" is not a time with',
        ),
        (Manifest, {"run_id": None}, "run_id holds null where text belongs"),
        (Summary, {"steps": "9" * 5000}, 'steps holds "999'),
        (Summary, {}, "status is missing; steps is missing"),
    ],
)
def test_a_manifest_and_a_summary_convert_nothing(kind: type[BaseModel], content: Any, words: str) -> None:
    whole: dict[str, Any] = (manifest() if kind is Manifest else summary()).model_dump()
    with pytest.raises(ValidationError) as caught:
        kind.model_validate({**whole, **content} if content else {})
    assert words in problems_of(caught.value)

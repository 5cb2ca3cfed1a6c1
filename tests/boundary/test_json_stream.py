import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.boundary.test_strict_json import VALUES
from trimtab.boundary import StrictJsonError, json_items, json_stream, strict_json


def items(content: bytes, under: str | None = None) -> list[Any]:
    return list(json_items(io.BytesIO(content), under))


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, "data"]), st.sampled_from([None, 1]), st.integers(1, 9))
def test_the_items_are_those_of_the_whole_file(
    values: list[Any], under: str | None, indent: int | None, chunk: int
) -> None:
    whole = values if under is None else {"before": values, under: values, "after": values}
    for ascii_only in (True, False):
        content = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        try:
            strict_json(content)
        except StrictJsonError:
            continue  # a lone surrogate
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_stream, "_CHUNK", chunk)
            assert items(content, under) == values


@given(st.integers(1, 30))
def test_a_number_cut_by_a_chunk_keeps_its_spelling(chunk: int) -> None:
    numbers = ["3.14159265358979323846264338327950288", "1.10", "1e2", "-0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        result = json_items(io.BytesIO(f"[{', '.join(numbers)}]".encode()), None, as_written=True)
        assert [number.written for number in result] == numbers


@given(st.binary(max_size=30), st.integers(0, 40), st.integers(1, 9))
def test_damage_is_refused_as_in_the_whole_file(damage: bytes, place: int, chunk: int) -> None:
    good = b'{"v": [1, "\xc3\xa9"], "data": [{"a": 1.5}, [true, "x\\n"], "\\u00e9"]}'
    content = good[:place] + damage + good[place + len(damage) // 2 :]
    try:
        whole = strict_json(content)
        wanted = whole["data"] if isinstance(whole, dict) and isinstance(whole.get("data"), list) else None
    except StrictJsonError:
        wanted = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        if wanted is not None:
            assert items(content, "data") == wanted
        else:
            with pytest.raises(StrictJsonError):
                items(content, "data")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"data": [1], "data": [2]}', "the key 'data' twice"),
        (b'{"data": [{"q": 1, "q": 2}]}', "the key 'q' twice"),
        (b'{"data": [1,\n2,]}', "line 2, column 3"),
        (b'{"data": [1,\n"\xff"]}', "byte 14 of it (0xff, in line 2) is not UTF-8"),
        (b'{"data": [1] 2}', "Expecting ','"),
        (b'{"data": [1]} x', "Extra data, line 1, column 15"),
        (b'{"a": 1,}', "Expecting property name"),
        (b'{"data": [1]', "not valid JSON"),
        (b'{"a": [1]}', "it has no 'data'; it has 'a'"),
        (b"[1]", "it is a list where an object with 'data' is needed"),
        (b'{"data": "x"}', "'data' is text where a list is needed"),
        (b'{"data": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_file_without_such_a_list_is_refused(
    content: bytes, reason: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    with pytest.raises(StrictJsonError) as error:
        items(content, "data")
    assert reason in str(error.value)


def test_an_item_longer_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", 8)
    monkeypatch.setattr(json_stream, "LONGEST_VALUE", 100)
    assert items(b'["' + b"x" * 60 + b'", 1]') == ["x" * 60, 1]
    with pytest.raises(StrictJsonError, match="longer than"):
        items(b'["' + b"x" * 600 + b'", 1]')

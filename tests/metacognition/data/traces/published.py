"""Rows in the schemas of published traces, and files of them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def glaive(number: int = 0, response: str | None = None, **changes: Any) -> dict[str, Any]:
    """A row of glaive reasoning-v1."""
    usual = f"<think>\nStep {number}.\nThen stop.\n</think>\n\nIt is {number}."
    return {"prompt": f"What is {number}?", "response": usual if response is None else response, **changes}


def openr1(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of OpenR1-Math whose second generation is the first usable one."""
    texts = [f"<think>\n{word} {number}\n</think>\n\nSo \\boxed{{{number}}}." for word in ("cut", "count", "again")]
    return {
        "problem": f"Count to ${number}$.",
        "solution": f"The count is {number}.",
        "answer": str(number),
        "uuid": f"id-{number}",
        "is_reasoning_complete": [True, True, True],
        "generations": texts,
        "correctness_math_verify": [True, True, True],
        "finish_reasons": ["length", "stop", "stop"],
        "messages": [{"role": "user", "content": f"Count to ${number}$."}],
        **changes,
    }


def openthoughts(
    number: int = 0, *, tags: str = "begin", names: tuple[str, str] = ("user", "assistant")
) -> dict[str, Any]:
    """A row of OpenThoughts, with the tags of its first or of its later versions."""
    if tags == "begin":
        thought = f"<|begin_of_thought|>\n\nHm {number}.\n\n<|end_of_thought|>\n\n"
        response = f"{thought}<|begin_of_solution|>\n\nIt is {number}.\n\n<|end_of_solution|>"
    else:
        response = f"<think>Hm {number}.</think>It is {number}."
    question = {"from": names[0], "value": f"Name {number}!"}
    return {"system": "Think first.", "conversations": [question, {"from": names[1], "value": response}]}


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """A file with one object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], row_group_size: int = 4) -> str:
    """A Parquet file with small row groups."""
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path, row_group_size=row_group_size)
    return str(path)

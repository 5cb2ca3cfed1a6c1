"""Rows of published traces."""

from typing import Any

import pytest

from tests.metacognition.data.traces.published import glaive, openr1, openthoughts
from trimtab.data.tasks.files import BadRowError, LeftOutRowError
from trimtab.metacognition.data.traces.schemas import Trace, trace


def read(row: dict[str, Any], schema: Any = "auto", *, system: bool = False, keep_open: bool = False) -> Trace:
    return trace(row, schema, system=system, keep_open=keep_open)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (glaive(3), Trace("What is 3?", "Step 3.\nThen stop.", "It is 3.", True, None, "glaive")),
        (openr1(3), Trace("Count to $3$.", "count 3", "So \\boxed{3}.", True, "3", "openr1")),
        (openthoughts(3), Trace("Name 3!", "Hm 3.", "It is 3.", True, None, "openthoughts")),
        (openthoughts(3, tags="think"), Trace("Name 3!", "Hm 3.", "It is 3.", True, None, "openthoughts")),
        (openthoughts(3, names=("human", "gpt")), Trace("Name 3!", "Hm 3.", "It is 3.", True, None, "openthoughts")),
    ],
)
def test_a_row_of_each_schema_becomes_the_same_parts_by_its_keys_and_by_name(
    row: dict[str, Any], expected: Trace
) -> None:
    assert read(row) == read(row, expected.schema) == expected


def test_the_first_generation_that_is_verified_and_finished_is_used() -> None:
    assert read(openr1(correctness_math_verify=[True, False, True])).thought == "again 0"
    assert read(openr1(finish_reasons=None)).thought == "cut 0"  # then `is_reasoning_complete` says it
    assert read(openr1(finish_reasons=None, is_reasoning_complete=[False, True, True])).thought == "count 0"
    assert read(openr1(finish_reasons=None, is_reasoning_complete=None)).thought == "cut 0"


def test_a_system_message_stands_before_the_question_where_it_is_wanted() -> None:
    assert read(openthoughts(1), system=True).prompt == "Think first.\n\nName 1!"
    row = openthoughts(1) | {"system": None}
    row["conversations"] = [{"from": "system", "value": "Be brief."}, *row["conversations"]]
    assert read(row).prompt == "Name 1!" and read(row, system=True).prompt == "Be brief.\n\nName 1!"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (glaive(response="It is 3."), "no_thought"),
        (glaive(response="  "), "no_thought"),
        (glaive(response=None) | {"response": None}, "no_thought"),
        (glaive(response="<think> \n</think>It is 3."), "no_thought"),
        (glaive(response="Hm</think>It is 3."), "no_opener"),
        (glaive(response="Well <think>Hm</think>It is 3."), "no_opener"),
        (glaive(response="<think>a <think>b</think> c</think>d"), "several_openers"),
        (glaive(response="<think>a</think>b<think>c</think>d"), "several_openers"),
        (glaive(response="<think>a <|begin_of_thought|>b</think>c"), "several_openers"),
        (glaive(response="<think>write </think> to end</think>c"), "several_closers"),
        (glaive(response="<think>a"), "no_closer"),
        (glaive(response="<think>a</think> \n"), "no_answer"),
        (openr1(answer=""), "no_answer"),
        (openr1(correctness_math_verify=[False] * 3), "not_verified"),
        (openr1(correctness_math_verify=None), "not_verified"),
        (openr1(finish_reasons=["length"] * 3), "not_verified"),
        (openthoughts() | {"conversations": openthoughts()["conversations"] * 2}, "several_turns"),
    ],
)
def test_sound_rows_without_a_usable_thought_are_left_out_by_kind(row: dict[str, Any], kind: str) -> None:
    with pytest.raises(LeftOutRowError) as caught:
        read(row)
    assert caught.value.kind == kind


def test_a_thought_that_nothing_closes_can_be_kept() -> None:
    kept = read(glaive(response="<think>a b"), keep_open=True)
    assert (kept.thought, kept.answer, kept.closed) == ("a b", "", False)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "?"}, "it has 'question', but the known schemas have"),
        (glaive(response="<think>a</think>b", prompt=""), "'prompt' is empty"),
        (glaive() | {"response": 3}, "the response|'response' is a number"),
        (
            openr1(finish_reasons=["stop"]),
            "'finish_reasons' must be a list with one entry for each of the 3 generations",
        ),
        (openr1(generations="text"), "'generations' is not a list"),
        (openthoughts() | {"conversations": ["hello"]}, "'conversations' is not a list of turns"),
        (openthoughts(names=("assistant", "user")), "its turns are from 'assistant' and 'user'"),
    ],
)
def test_a_value_of_the_wrong_form_is_a_bad_row(row: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRowError, match=message) as caught:
        read(row)
    assert not isinstance(caught.value, LeftOutRowError)

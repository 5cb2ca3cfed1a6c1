"""Every format of chats and pairs becomes the same messages, and rows that are none are refused with their place."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.tasks.shared import shared_file, write_rows
from trimtab.errors import DataError
from trimtab.posttraining.data.encoding import Dropped
from trimtab.posttraining.data.formats import Chat, Pair
from trimtab.posttraining.data.reading import read_chats, read_pairs, split

SYSTEM, USER, ANSWER = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Because."},
)
CHATS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [SYSTEM, USER, ANSWER]},
    "parts": {"messages": [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "Why?"}]}, ANSWER]},
    "conversations": {
        "system": "Be brief.",
        "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}],
    },
    "instruction/output": {"system": "Be brief.", "instruction": "Why?", "input": "", "output": "Because."},
    "prompt/completion": {"system": "Be brief.", "prompt": "Why?", "completion": "Because."},
    "prompt/completion of messages": {"prompt": [SYSTEM, USER], "completion": [ANSWER]},
}
PAIRS: dict[str, dict[str, Any]] = {
    "text": {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
    "messages": {"prompt": [USER], "chosen": [ANSWER], "rejected": [{"role": "assistant", "content": "No."}]},
    "whole conversations": {"chosen": [USER, ANSWER], "rejected": [USER, {"role": "assistant", "content": "No."}]},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Why?"}],
        "chosen": {"from": "gpt", "value": "Because."},
        "rejected": {"from": "gpt", "value": "No."},
    },
    "alpaca": {"instruction": "Why?", "input": "", "chosen": "Because.", "rejected": "No."},
    "transcripts": {
        "chosen": "\n\nHuman: Why?\n\nAssistant: Because.",
        "rejected": "\n\nHuman: Why?\n\nAssistant: No.",
    },
}


def chats(tmp_path: Path, *rows: dict[str, Any], drop: bool = False) -> tuple[list[Chat], Dropped]:
    dropped = Dropped()
    path = write_rows(tmp_path / "rows.jsonl", list(rows))
    return read_chats(path, "data.path", "drop" if drop else "error", dropped), dropped


def pairs(tmp_path: Path, *rows: dict[str, Any]) -> list[Pair]:
    return read_pairs(write_rows(tmp_path / "rows.jsonl", list(rows)), "data.path", "error", Dropped())


@pytest.mark.parametrize("row", CHATS.values(), ids=CHATS)
def test_a_chat_of_every_format_becomes_the_same_messages(row: dict[str, Any], tmp_path: Path) -> None:
    (read,), _ = chats(tmp_path, row)
    assert list(read.messages) == [SYSTEM, USER, ANSWER]


@pytest.mark.parametrize("row", PAIRS.values(), ids=PAIRS)
def test_a_pair_of_every_format_becomes_the_same_prompt_and_answers(row: dict[str, Any], tmp_path: Path) -> None:
    (read,) = pairs(tmp_path, row)
    assert (list(read.prompt), read.chosen, read.rejected) == ([USER], "Because.", "No.")


def test_a_transcript_of_several_turns_keeps_them(tmp_path: Path) -> None:
    start = "\n\nHuman: One\n\nTwo\n\nAssistant: Three\n\nHuman: Four\n\nAssistant: "
    (read,) = pairs(tmp_path, {"chosen": start + "Five", "rejected": start + "Six"})
    assert [message["content"] for message in read.prompt] == ["One\n\nTwo", "Three", "Four"]
    assert (read.chosen, read.rejected) == ("Five", "Six")


def test_the_input_and_the_history_of_an_instruction_are_part_of_the_prompt(tmp_path: Path) -> None:
    row = {"instruction": "Add", "input": "1 2", "output": "3", "history": [["Hi", "Hello"]]}
    (read,), _ = chats(tmp_path, row)
    assert [message["content"] for message in read.messages] == ["Hi", "Hello", "Add\n1 2", "3"]


def test_json_and_parquet_are_read_as_json_lines_are(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [PAIRS["text"], {**PAIRS["text"], "chosen": "So."}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    expected = pairs(tmp_path, *rows)
    for name in ("rows.json", "rows.parquet"):
        read = read_pairs(str(tmp_path / name), "data.path", "error", Dropped())
        assert [(one.prompt, one.chosen, one.rejected) for one in read] == [
            (one.prompt, one.chosen, one.rejected) for one in expected
        ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x"}, "it has the keys 'text', which are not those of a chat: messages; conversations;"),
        (CHATS["conversations"], "it has the format conversations, but the rows before it have messages"),
        ({"messages": [USER]}, "it does not end with an answer of the assistant"),
        ({"messages": [USER, USER, ANSWER]}, "user and assistant must take turns"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "'messages'[1].content is empty"),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "'messages'[1] has the role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}, ANSWER]}, "has parts other than text"),
        ({"messages": "x"}, "'messages' is text where a list of messages is needed"),
    ],
)
def test_a_row_that_is_no_chat_is_refused_with_its_place_or_counted(
    row: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        chats(tmp_path, CHATS["messages"], row)
    assert "rows.jsonl, line 2: the row cannot be used: " in str(caught.value)
    assert words in str(caught.value)
    read, dropped = chats(tmp_path, CHATS["messages"], row, drop=True)
    assert len(read) == 1
    assert sum(dropped.counts.values()) == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**PAIRS["text"], "rejected": "Because."}, "its chosen and rejected answers are identical"),
        ({**PAIRS["text"], "rejected": ""}, "'rejected' is empty"),
        ({**PAIRS["text"], "chosen": [USER]}, "'chosen' is a message of the user where an answer"),
        ({"chosen": [USER, ANSWER], "rejected": [SYSTEM, USER, ANSWER]}, "differ before their last messages"),
        ({"chosen": "Why?", "rejected": "x"}, "'chosen' is no transcript: it must begin with 'Human:'"),
    ],
)
def test_a_row_that_is_no_pair_is_refused(row: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        pairs(tmp_path, row)
    assert words in str(caught.value)


def test_no_prompt_is_in_both_splits_and_the_split_is_a_function_of_the_seed(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{index % 20}", "completion": f"a{index}"} for index in range(40)]
    read, _ = chats(tmp_path, *rows)
    train, held_out = split(read, 10, 3, "rows")
    assert len(held_out) == 10
    assert not {one.messages[0]["content"] for one in train} & {one.messages[0]["content"] for one in held_out}
    assert split(list(reversed(read)), 10, 3, "rows")[1] == list(reversed(held_out))
    assert split(read, 10, 4, "rows")[1] != held_out
    with pytest.raises(DataError, match="of which 40 cannot validate and leave some to train on"):
        split(read, 40, 3, "rows")


def test_the_real_files_are_read_whole() -> None:
    dropped = Dropped()
    assert len(read_pairs(str(shared_file("preference_pairs_sharegpt.json")), "data.path", "error", dropped)) == 300
    assert len(read_chats(str(shared_file("instructions_alpaca.json")), "data.path", "error", dropped)) == 999
    assert not dropped.counts

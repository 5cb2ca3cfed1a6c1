"""The data components `chat` and `pairs`: batches, reports, splits and fingerprints."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.tasks.shared import shared_file, write_rows
from tests.posttraining.files import sums
from trimtab.data import IGNORE, CharacterTokenizer, DataBundle, EvaluationLoader, PretrainedTokenizer, TrainLoader
from trimtab.errors import DataError
from trimtab.posttraining.data.chat import chat
from trimtab.posttraining.data.pairs import pairs


def pair_data(tmp_path: Path, **options: Any) -> DataBundle:
    path = write_rows(tmp_path / "pairs.jsonl", sums(40))
    return pairs(tokenizer=CharacterTokenizer(), path=path, **{"context": 64, "validation": 8, **options})


def chat_data(tmp_path: Path, **options: Any) -> DataBundle:
    rows = [{"prompt": row["prompt"], "completion": row["chosen"], "label": True} for row in sums(40)]
    path = write_rows(tmp_path / "chats.jsonl", rows)
    return chat(tokenizer=CharacterTokenizer(), path=path, **{"context": 64, "validation": 8, **options})


def test_a_batch_of_pairs_has_the_chosen_and_the_rejected_answer_of_each_in_adjacent_rows(tmp_path: Path) -> None:
    data = pair_data(tmp_path)
    batch = TrainLoader(data.train, 3, 0).take(0)
    assert batch.input_ids.shape[0] == 6
    assert batch.metadata["preferred"] == [True, False] * 3
    decoded = [data.tokenizer.decode(row.numpy()) for row in batch.input_ids]
    for one, other, index in zip(decoded[::2], decoded[1::2], batch.metadata["index"][::2], strict=True):
        question, _, answer = one.partition("Assistant: ")
        left, right = question.removeprefix("User: ").strip().split(" + ")
        assert int(answer) == int(left) + int(right)
        assert other.startswith(question)
        assert int(other.partition("Assistant: ")[2]) > int(answer)
        ids, labels = data.train[index]["input_ids"], data.train[index]["labels"]
        assert data.tokenizer.decode(ids.numpy()) == one
        assert data.tokenizer.decode(labels[labels != IGNORE].numpy()) == answer
    assert len(EvaluationLoader(data.validation, 4).take(0, 4).input_ids) == 8


def test_pairs_report_lengths_and_what_was_left_out(tmp_path: Path) -> None:
    report = pair_data(tmp_path).report.to_dict()
    assert (report["unit"], report["train"], report["validation"]) == ("pairs", 32, 8)
    assert 0 <= report["chosen_longer"] <= 0.5
    rows = [*sums(40), {"prompt": "long", "chosen": "a" * 99, "rejected": "b"}]
    path = write_rows(tmp_path / "long.jsonl", rows)
    report = pairs(tokenizer=CharacterTokenizer(), path=path, context=64).report.to_dict()
    assert report["dropped"] == {"it has more tokens than data.context (64)": 1}
    assert report["first_dropped"]["it has more tokens than data.context (64)"].endswith("line 41")
    with pytest.raises(DataError, match=r"^No row of long\.jsonl can be used: 41 left out"):
        pairs(tokenizer=CharacterTokenizer(), path=path, context=8)


def test_answers_that_the_tokenizer_cannot_tell_apart_are_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*sums(20), {"prompt": "x", "chosen": "ä", "rejected": "ö"}])
    report = pairs(tokenizer=CharacterTokenizer(), path=path).report.to_dict()
    assert report["dropped"] == {"its chosen and rejected answers have the same tokens": 1}


def test_a_chat_keeps_its_feedback_and_unknown_characters_are_counted(tmp_path: Path) -> None:
    assert chat_data(tmp_path).train[0]["metadata"] == {"desirable": True}
    rows = [{"prompt": f"{index}é", "completion": "a"} for index in range(10)]
    data = chat(tokenizer=CharacterTokenizer(), path=write_rows(tmp_path / "rows.jsonl", rows), validation=2)
    assert data.report.to_dict()["unknown_characters"] == {
        "train": 8,
        "validation": 2,
        "most_frequent": [{"character": "é", "occurrences": 10}],
    }


@pytest.mark.parametrize("data", [chat_data, pair_data])
def test_the_fingerprint_is_of_the_tokens_and_of_the_split(data: Any, tmp_path: Path) -> None:
    prints = {
        data(tmp_path, **options).fingerprint
        for options in ({}, {"seed": 1}, {"validation": 9}, {"context": 60}, {"on_bad_row": "drop"})
    }
    assert len(prints) == 3  # context and bad rows change nothing here
    (tmp_path / "plain.jinja").write_text("{% for m in messages %}{{ m.content }};{% endfor %}")
    assert data(tmp_path, template_file=str(tmp_path / "plain.jinja")).fingerprint not in prints


def test_a_validation_file_is_used_whole(tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.jsonl", sums(60)[40:])
    data = pair_data(tmp_path, validation_path=other)
    assert (len(data.train), len(data.validation)) == (40, 20)


@pytest.mark.slow
def test_the_labels_of_a_thousand_real_chats_are_the_answers_and_one_end_token(smollm2: Path) -> None:
    tokenizer = PretrainedTokenizer(path=str(smollm2))
    data = chat(tokenizer=tokenizer, path=str(shared_file("instructions_alpaca.json")), context=4096, validation=1)
    assert len(data.train) + len(data.validation) == 999
    for index in range(len(data.train)):
        item: Any = data.train[index]
        labels = item["labels"][item["labels"] != IGNORE]
        answer = data.train.chats[index].messages[-1]["content"]  # type: ignore[attr-defined]
        assert tokenizer.decode(labels.numpy()) == answer + "<|im_end|>"
        assert torch.equal(labels, item["input_ids"][item["labels"] != IGNORE])

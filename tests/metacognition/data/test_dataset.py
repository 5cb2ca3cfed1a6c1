"""Thoughts as examples, whole and cut, and the batches of a run."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.metacognition.models import CLOSE, OPEN, TOKENIZER
from trimtab.data import IGNORE, CharacterTokenizer, DrawState
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.logic import Logic
from trimtab.data.tasks.urns import Urns
from trimtab.errors import ConfigError, DataError
from trimtab.metacognition.data.build import thinking_data
from trimtab.metacognition.data.cuts import Cuts
from trimtab.metacognition.data.dataset import ThoughtDataset, ThoughtSource
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.routes import Routes
from trimtab.random import Streams
from trimtab.records import to_json
from trimtab.records.jsonl import encode_row

PROBLEM = ThoughtProblem("ab.a1?", "b", "b", thought="ab0", plan=0, level=1)


def ids(text: str) -> list[int]:
    marks = {"<": OPEN, ">": CLOSE}
    return [marks[one] if one in marks else int(TOKENIZER.encode(one)[0]) for one in text]


@pytest.mark.parametrize(
    ("cap", "text", "used", "ended", "labels"),
    [
        (None, "ab.a1?<ab0>b\n", 3, True, "ab0>b\n"),
        (4, "ab.a1?<ab0>b\n", 3, True, "ab0>b\n"),
        (3, "ab.a1?<ab0>b\n", 3, False, "ab0 b\n"),  # its cap closed it, whether or not it would have ended there
        (2, "ab.a1?<ab>b\n", 2, False, "ab b\n"),
        (0, "ab.a1?<>b\n", 0, False, " b\n"),
    ],
)
def test_a_thought_is_cut_as_generation_cuts_it(
    cap: int | None, text: str, used: int, ended: bool, labels: str
) -> None:
    item = ThoughtDataset([PROBLEM], TOKENIZER).cut(PROBLEM, cap)
    assert item["input_ids"].tolist() == ids(text)
    metadata = item["metadata"]
    assert (metadata["used"], metadata["ended"], metadata["cap"], metadata["plan"]) == (used, ended, cap, 0)
    known = item["labels"].tolist()
    after = known[text.index("<") + 1 :]
    assert set(known[: text.index("<") + 1]) == {IGNORE}
    assert after == [
        IGNORE if mark == " " else label for mark, label in zip(labels, ids(labels.replace(" ", "a")), strict=True)
    ]


def test_the_prompt_ends_with_the_opening_tag() -> None:
    dataset = ThoughtDataset([PROBLEM], TOKENIZER)
    assert dataset.prompt_ids(PROBLEM).tolist() == ids("ab.a1?<")
    assert dataset.length(PROBLEM) == len(dataset[0]["input_ids"]) == len(ids("ab.a1?<ab0>b\n"))


def source(seed: int = 0, **cuts: Any) -> ThoughtSource:
    problems = Routes().split("train", 50, 0)
    return ThoughtSource(ThoughtDataset(problems, TOKENIZER), Cuts(**cuts), seed)


def state(seed: int) -> DrawState:
    return DrawState(torch.nn.Linear(1, 1), Streams(seed), "training", 1, 0, 0)


def test_a_batch_depends_on_its_position_and_the_runs_seed_alone() -> None:
    one, other = source(), source()
    other.take(3, 40)
    for first in (0, 48, 95):  # within an epoch, across its end, and later
        mine, theirs = one.take(first, 6, None, state(1)), other.take(first, 6, None, state(1))
        assert torch.equal(mine.input_ids, theirs.input_ids) and mine.metadata == theirs.metadata
        parts = [other.take(first + place, 1, None, state(1)) for place in range(6)]
        assert [part.metadata["cap"][0] for part in parts] == mine.metadata["cap"]
        assert [part.metadata["index"][0] for part in parts] == mine.metadata["index"]
    assert one.take(0, 50, None, state(1)).metadata["index"] != one.take(0, 50, None, state(2)).metadata["index"]


def test_the_shares_of_whole_absent_and_cut_thoughts_are_those_of_the_config() -> None:
    caps = [Cuts(none=0.2, cut=0.5, longest=10).draw(0, position) for position in range(4000)]
    share = Counter("none" if cap == 0 else "whole" if cap is None else "cut" for cap in caps)
    assert share["none"] / 4000 == pytest.approx(0.2, abs=0.03)
    assert share["cut"] / 4000 == pytest.approx(0.5, abs=0.03)
    assert {cap for cap in caps if cap} == set(range(1, 11))


def data(**options: Any) -> Any:
    given = {"tokenizer": TOKENIZER, "task": Routes(), "size": 30, "validation": 10, "context": 112, **options}
    return thinking_data(**given)


def test_outcomes_choose_the_problems_and_say_what_the_model_did(tmp_path: Path) -> None:
    table = tmp_path / "observed.jsonl"
    rows = [
        {
            "item": item,
            "level": 1,
            "plan": 0,
            "prompt_tokens": 5,
            "thought": "x",
            "used": 5,
            "ended": True,
            "right": [False, True],
        }
        | {"confidence_by_cap": [0.1, 0.2], "use_by_cap": [0.0, 3.0], "predicted_plan": 0, "alpha": [1.0]}
        for item in (7, 3)
    ]
    table.write_bytes(b"".join(encode_row(to_json(row)) for row in rows))
    whole, bundle = data(), data(outcomes=str(table))
    assert [one.prompt for one in bundle.train.problems] == [whole.train.problems[item].prompt for item in (7, 3)]
    problem = bundle.train.problems[0]
    for cap, used, ended in ((None, 5, True), (6, 5, True), (5, 5, False), (2, 2, False)):
        metadata = bundle.train.cut(problem, cap)["metadata"]
        assert (metadata["used"], metadata["ended"], metadata["right"]) == (used, ended, [False, True])
    assert bundle.fingerprint != whole.fingerprint
    with pytest.raises(DataError, match="not among the 5 training problems"):
        data(size=5, outcomes=str(table))


def test_working_becomes_a_thought_and_the_answer_stays() -> None:
    sums = data(task=Arithmetic(levels=(1,), operations=("sum",))).train
    (*_, last), problem = sums.problems[0].thought.split(";"), sums.problems[0]
    assert last.rpartition("=")[2].endswith(problem.answer[0]) and problem.plan == 0
    item = sums.cut(problem, None)
    assert sums.tokenizer.decode(item["input_ids"].numpy()).endswith(
        f"<think>{problem.thought}</think>{problem.answer}\n"
    )
    puzzles = data(task=Logic(levels=(1,), kind="knights"), context=200).train
    assert all(one.thought.split()[-1] == one.answer for one in puzzles.problems)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="The problems of the task urns have no thoughts"):
        data(task=Urns())
    with pytest.raises(ConfigError, match="data.task.scratch: with it the answers contain their working"):
        data(task=Arithmetic(scratch=True))
    with pytest.raises(DataError, match="with its thought, but `data.context` 60 allows at most 61"):
        data(context=60)
    with pytest.raises(ConfigError, match="has no tags for thoughts"):
        data(tokenizer=CharacterTokenizer())
    with pytest.raises(ConfigError, match="must contain"):
        data(template="none")

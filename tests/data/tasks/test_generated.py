"""What holds for every generated task that ships, and for the base that they share."""

import inspect
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.data.tasks import Problem
from trimtab.data.tasks.generated import VALIDATION_SHARE, GeneratedTask, is_validation
from trimtab.errors import DataError
from trimtab.training.components import TASKS


def shipped() -> list[str]:
    """The generated tasks that need no parameters."""
    tasks = []
    for entry in TASKS:
        factory = TASKS.load(entry.name)
        generated = inspect.isclass(factory) and issubclass(factory, GeneratedTask)
        if generated and not any(parameter.required for parameter in TASKS.parameters(entry.name)):
            tasks.append(entry.name)
    return tasks


def build(name: str) -> GeneratedTask:
    task: GeneratedTask = TASKS.build(TASKS.resolve({"name": name}))
    return task


def questions(problems: Sequence[Problem]) -> set[str]:
    return {problem.question for problem in problems} | {problem.prompt for problem in problems}


@pytest.mark.parametrize("name", shipped())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seeds=st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
    size=st.integers(1, 300),
    count=st.integers(1, 60),
)
def test_the_splits_have_no_question_in_common_for_any_seed_and_size(
    name: str, seeds: tuple[int, int], size: int, count: int
) -> None:
    task = build(name)
    validation = [task.split("validation", count, seed) for seed in seeds]
    for seed in seeds:
        train = task.split("train", size, seed)
        assert len(train) == size
        for problems in validation:
            assert not questions(train) & questions(problems)
    assert all(len({problem.question for problem in problems}) == count for problems in validation)


@pytest.mark.parametrize("name", shipped())
def test_levels_come_in_turn_and_a_longer_split_begins_with_the_shorter_one(name: str) -> None:
    task = build(name)
    for split in ("train", "validation"):
        long = task.split(split, 60, 4)
        assert [problem.level for problem in long[: len(task.levels)]] == list(task.levels)
        assert list(task.split(split, 25, 4)) == list(long[:25])
        assert list(task.split(split, 60, 5)) != list(long)


@pytest.mark.parametrize("name", shipped())
def test_the_right_answer_has_all_metrics_at_1(name: str) -> None:
    task = build(name)
    for problem in task.split("train", 60, 0):
        scores = task.score(problem, problem.truth)
        assert list(scores) == list(task.metrics)
        assert task.metrics[0] == "exact_match"
        assert scores["exact_match"] == 1
        assert set(task.score(problem, "").values()) <= {0.0, 1.0}
        assert task.score(problem, "")["exact_match"] == 0


PRINT_ALL = """
import hashlib, sys
from trimtab.config import REGISTRIES
from trimtab.data.tasks.noise import LabelNoise, with_noise
for name in sys.argv[1:]:
    task = REGISTRIES["task"].build(REGISTRIES["task"].resolve({"name": name}))
    problems = task.split("train", 80, 7)
    noisy = with_noise(problems, LabelNoise(flip=0.3, tags="shuffled"), task, "train", 7)
    print(name, hashlib.sha256(repr((problems, noisy, task.split("validation", 20, 7))).encode()).hexdigest())
"""


def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    outputs = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        process = subprocess.run(
            [sys.executable, "-c", PRINT_ALL, *shipped()], capture_output=True, text=True, check=True, env=environment
        )
        outputs.add(process.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == len(shipped()) > 0


class Few(GeneratedTask):
    """Ten questions."""

    name = "few"

    def __init__(self) -> None:
        self.levels = (1, 2)

    @property
    def identity(self) -> Mapping[str, Any]:
        return {}

    def problem(self, level: int, rng: random.Random) -> Problem:
        number = str(rng.randrange(10))
        return Problem(f"{level}: {number}", number, number, level)

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        return {"exact_match": float(response == problem.truth)}


def test_too_few_different_questions_are_an_error_with_advice() -> None:
    reached = sum(is_validation(f"{level}: {number}") for level in (1, 2) for number in range(10))
    with pytest.raises(DataError, match="too few different questions for 30 validation problems: after") as caught:
        Few().split("validation", 30, 0)
    assert reached < 20
    assert "data.validation" in str(caught.value)
    assert len(Few().split("train", 500, 0)) == 500  # training questions may repeat
    with pytest.raises(DataError, match="their number must be given"):
        Few().split("train", None, 0)


def test_the_share_of_validation_questions() -> None:
    share = sum(is_validation(str(number)) for number in range(20_000)) / 20_000
    assert abs(share - VALIDATION_SHARE) < 0.01
    assert is_validation("\ud800") in (True, False)  # a lone surrogate has a split too

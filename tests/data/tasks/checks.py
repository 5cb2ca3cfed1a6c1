"""What every generated task must keep: splits apart, the same draws anywhere, and its speed."""

import hashlib
import json
import os
import subprocess
import sys
from importlib import import_module
from time import perf_counter
from typing import Any

from trimtab.data.tasks.generated import GeneratedTask

_DRAW = """
import json, sys
from tests.data.tasks.checks import digest
print(digest(sys.argv[1], json.loads(sys.argv[2])))
"""


def check_splits(task: GeneratedTask, sizes: tuple[int, ...] = (30, 200)) -> None:
    """No question of a training split stands in any validation split, whatever the seeds and sizes; validation has no repeats."""
    train, held = set(), set()
    for seed in range(3):
        for size in sizes:
            drawn = task.split("train", 5 * size, seed)
            assert len(drawn) == 5 * size
            train |= {problem.question for problem in drawn}
            validation = [problem.question for problem in task.split("validation", size, seed)]
            assert len(set(validation)) == len(validation) == size
            held |= set(validation)
    assert not train & held


def digest(target: str, parameters: dict[str, Any]) -> str:
    """SHA-256 of the problems that a task draws."""
    module, _, name = target.partition(":")
    task = getattr(import_module(module), name)(**parameters)
    problems = [*task.split("train", 300, 7), *task.split("validation", 60, 7)]
    return hashlib.sha256(json.dumps([repr(problem) for problem in problems]).encode()).hexdigest()


def check_fresh_process(target: str, parameters: dict[str, Any]) -> None:
    """Another process with another hash seed draws the same problems."""
    here = digest(target, parameters)
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _DRAW, target, json.dumps(parameters)]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert there.stdout.strip() == here


def check_speed(task: GeneratedTask, least: int = 1000, count: int = 3000) -> None:
    """A split is drawn with at least `least` problems a second: far below what is measured, for machines under load."""
    start = perf_counter()
    task.split("train", count, 0)
    assert count / (perf_counter() - start) > least

"""Other parameters than the default ones, in another process with another hash seed; see also test_generated.py."""

import hashlib
import os
import subprocess
import sys

from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.logic import Logic
from trimtab.data.tasks.spec import Spec
from trimtab.data.tasks.word_problems import WordProblems


def tasks() -> list[GeneratedTask]:
    return [WordProblems(solution=True), Logic(kind="knights"), Logic(style="words"), Spec(levels=(4,))]


def digest() -> str:
    """SHA-256 of the problems that the tasks draw."""
    drawn = [[*task.split("train", 200, 7), *task.split("validation", 60, 7)] for task in tasks()]
    return hashlib.sha256(repr(drawn).encode()).hexdigest()


def test_a_fresh_process_draws_the_same() -> None:
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", f"from {__name__} import digest; print(digest())"]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert there.stdout.strip() == digest()

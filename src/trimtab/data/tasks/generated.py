"""Base of the tasks that generate their problems from a seed; their two splits have no question in common."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

from trimtab.data.problem import Problem, Split
from trimtab.errors import DataError
from trimtab.random import derive_seed

VALIDATION_SHARE = 0.2
"""The share of all questions that belong to the validation split, decided by the hash of the question."""

_PATIENCE = 200
"""The draws in a row that may be rejected, per problem drawn so far (counting at least 10), before a split is given up."""


class GeneratedTask(ABC):
    """Base of the tasks that generate their problems. A subclass draws one problem of a level and scores a response.

    The hash of a question decides its split, so the splits have no question in common, whatever the seeds and sizes. Training
    problems may repeat, as the generator draws them; validation problems are all different.
    """

    name: ClassVar[str]
    metrics: Sequence[str] = ("exact_match",)
    levels: Sequence[int]

    @abstractmethod
    def problem(self, level: int, rng: random.Random) -> Problem:
        """Draws one problem of a level. All randomness comes from `rng`."""

    @abstractmethod
    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """See `Task.score`."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`. Only the levels; a task with more parameters adds them."""
        return {"levels": list(self.levels)}

    def split(self, split: Split, count: int | None, seed: int) -> list[Problem]:
        """Returns `count` problems, with the levels in turn.

        Raises `DataError` if there are too few different questions, or if `count` is None.
        """
        if count is None:
            raise count_needed(self.name)
        rng = random.Random(derive_seed(seed, "task", self.name, split))
        problems: list[Problem] = []
        seen: set[str] = set()
        rejected = 0
        while len(problems) < count:
            problem = self.problem(self.levels[len(problems) % len(self.levels)], rng)
            question = problem.question
            if is_validation(question) == (split == "validation") and question not in seen:
                problems.append(problem)
                rejected = 0
                if split == "validation":
                    seen.add(question)
                continue
            rejected += 1
            if rejected > _PATIENCE * max(10, len(problems)):
                raise DataError(
                    f"The task {self.name} has too few different questions for {count} {split} problems: after "
                    f"{len(problems)} problems, {rejected:,} draws of level {problem.level} in a row were repetitions or "
                    "belong to the other split. Ask for fewer problems (`data.validation`), or add a harder level."
                )
        return problems


def count_needed(name: str) -> DataError:
    """The error for a generated task without a number of problems: it has no last one."""
    return DataError(
        f"The task {name} generates its problems, so their number must be given. Set `data.size` and `data.validation`."
    )


def is_validation(question: str) -> bool:
    """Returns whether a question belongs to the validation split; its hash alone decides."""
    digest = blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < VALIDATION_SHARE * 2**64

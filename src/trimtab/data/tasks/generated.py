"""Problems from a generator: one seed, one stretch of text, and two splits that share no question."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

from trimtab.data.problem import Problem, Split
from trimtab.errors import DataError
from trimtab.random import derive_seed

VALIDATION_SHARE = 0.2
"""The share of all questions that belong to the validation split, by the hash of the question."""

_PATIENCE = 200


class GeneratedTask(ABC):
    """Base of the tasks that make their problems: a subclass says how one of a level is drawn, and how one is scored.

    A question belongs to one split for good, by its hash, so that no seed and no size makes the splits meet. Training problems
    are drawn with repetition, as the generator gives them; validation problems are all different.
    """

    name: ClassVar[str]
    figures: Sequence[str] = ("exact_match",)
    levels: Sequence[int]

    @abstractmethod
    def problem(self, level: int, rng: random.Random) -> Problem:
        """One problem of a level, drawn with `rng` alone."""

    @abstractmethod
    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """See `Task.score`."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`: the levels; a task with further parameters adds them."""
        return {"levels": list(self.levels)}

    def split(self, split: Split, count: int | None, seed: int) -> list[Problem]:
        """`count` problems, the levels in turn. Raises `DataError` where validation has too few different questions."""
        if count is None:
            raise DataError(
                f"The task {self.name} makes as many problems as it is asked for. Say how many (`data.size`)."
            )
        rng = random.Random(derive_seed(seed, "task", self.name, split))
        found: list[Problem] = []
        seen: set[str] = set()
        tries = 0
        while len(found) < count:
            problem = self.problem(self.levels[len(found) % len(self.levels)], rng)
            question = problem.question
            if is_validation(question) == (split == "validation") and question not in seen:
                found.append(problem)
                tries = 0
                if split == "validation":
                    seen.add(question)
                continue
            tries += 1
            if tries > _PATIENCE * max(10, len(found)):
                raise DataError(
                    f"The task {self.name} has too few different questions for {count} {split} problems: after {len(found)} "
                    f"the next {tries:,} draws of level {problem.level} were seen before or belong to the other split. Ask for "
                    "fewer (`data.validation`), or add a harder level."
                )
        return found


def is_validation(question: str) -> bool:
    """Whether a question belongs to the validation split, by its hash alone."""
    digest = blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < VALIDATION_SHARE * 2**64

"""Several tasks in one run: which of them a sample comes from, and a task that scores the problems of all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, field_validator

from trimtab.config import REGISTRIES, Frozen, NestedComponent, resolve_component
from trimtab.config.paths import with_absolute_paths
from trimtab.config.wording import Source
from trimtab.data.problem import Problem, Split, Task, final_answer
from trimtab.errors import ConfigError
from trimtab.metacognition.data.problem import ThoughtProblem, with_thoughts
from trimtab.random import derive_seed

ROUND = 1000
"""Samples of a round, in which each domain has the same number."""


class DomainTask(NestedComponent):
    """The task of a domain."""

    kind: ClassVar[str] = "task"

    name: Annotated[str, Field(min_length=1, description="the task")]


class Domain(Frozen):
    """A further task with its weight."""

    task: Annotated[DomainTask, Field(description="a further task whose problems are trained on")]
    weight: Annotated[
        float,
        Field(
            gt=0, allow_inf_nan=False, description="its share of the samples, relative to that of `task`, which is 1"
        ),
    ] = 1.0

    @field_validator("task", mode="before")
    @classmethod
    def _resolved(cls, value: Any) -> Any:
        """The task with its defaults and absolute paths. The engine resolves components only where a key holds one directly."""
        if not isinstance(value, dict) or not isinstance(name := value.get("name"), str):
            return value
        # What a recorded config would import is checked at its own components, not within lists of mappings.
        if ":" in name:
            raise ConfigError(
                f"data.mix: '{name}' is not the name of a task. Only tasks with plain names can be mixed in."
            )
        return with_absolute_paths("task", resolve_component("task", value, Source("data.mix")))

    @cached_property
    def built(self) -> Task:
        """The task of the domain. It is kept, because a task reads its files once."""
        task: Task = REGISTRIES["task"].build(self.task.spec)
        return task


class Rounds:
    """Which domain each sample of a run comes from, and the place of the sample among those of its domain.

    Each round of 1,000 samples has the same number of each domain, in an order that the seed and the round decide. Both answers
    are functions of the seed and the position alone.

    Raises `ConfigError` for a weight so small that a round has no sample of the domain.
    """

    def __init__(self, names: Sequence[str], weights: Sequence[float]) -> None:
        self.names = names
        self.quotas = apportioned(ROUND, weights)
        for name, quota in zip(names, self.quotas, strict=True):
            if quota == 0:
                raise ConfigError(
                    f"data.mix: the weight of {name} is less than a thousandth of all weights, so it would have no sample. "
                    "Raise it, or leave the domain out."
                )
        self._last: tuple[tuple[int, int], list[int], list[int]] | None = None

    @property
    def shares(self) -> dict[str, float]:
        """The share of the samples that each domain has."""
        return {name: quota / ROUND for name, quota in zip(self.names, self.quotas, strict=True)}

    def place(self, seed: int, position: int) -> tuple[int, int]:
        """The number of the domain of the sample at a position, and the sample's place in that domain."""
        if len(self.quotas) == 1:
            return 0, position
        number, slot = divmod(position, ROUND)
        domains, ranks = self._round(seed, number)
        return domains[slot], number * self.quotas[domains[slot]] + ranks[slot]

    def _round(self, seed: int, number: int) -> tuple[list[int], list[int]]:
        if self._last is None or self._last[0] != (seed, number):
            generator = torch.Generator().manual_seed(derive_seed(seed, "data", "domains", number))
            each = torch.repeat_interleave(torch.arange(len(self.quotas)), torch.tensor(self.quotas))
            domains = each[torch.randperm(ROUND, generator=generator)].tolist()
            seen, ranks = [0] * len(self.quotas), []
            for domain in domains:
                ranks.append(seen[domain])
                seen[domain] += 1
            self._last = (seed, number), domains, ranks
        return self._last[1], self._last[2]


def apportioned(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that add up to a total, as close to the shares of the weights as possible (largest remainders)."""
    exact = [total * weight / sum(weights) for weight in weights]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


class MixedTask:
    """Tasks whose problems are mixed. Each problem is scored by the task of its domain."""

    metrics: tuple[str, ...] = ("exact_match",)

    def __init__(self, tasks: Sequence[Task], weights: Sequence[float]) -> None:
        names = [task.name for task in tasks]
        self.names = [
            name if names.count(name) == 1 else f"{name} {names[: index + 1].count(name)}"
            for index, name in enumerate(names)
        ]
        self.tasks, self.weights = tasks, weights
        self.name = " + ".join(self.names)

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        domains = [
            {"task": task.name, "weight": weight, **task.identity}
            for task, weight in zip(self.tasks, self.weights, strict=True)
        ]
        return {"domains": domains}

    @property
    def skipped(self) -> tuple[str, ...]:
        """The rows that the tasks left out."""
        return tuple(reason for task in self.tasks for reason in getattr(task, "skipped", ()))

    def parts(self, split: Split, count: int | None, seed: int) -> list[list[Problem]]:
        """The problems of each task, with thoughts; their numbers are in proportion to the weights.

        A streamed task has none for training: they are read during the run.
        """
        counts: list[int | None] = [None] * len(self.tasks)
        if count is not None:
            counts = [*apportioned(count, self.weights)]
        parts = []
        for task, name, number in zip(self.tasks, self.names, counts, strict=True):
            streamed = split == "train" and getattr(task, "streaming", False)
            problems = [] if number == 0 or streamed else with_thoughts(task, task.split(split, number, seed))
            parts.append(self.named(problems, name))
        return parts

    @staticmethod
    def named(problems: Sequence[Problem], name: str) -> list[Problem]:
        """Problems with the name of their domain."""
        return [replace(one, domain=name) if isinstance(one, ThoughtProblem) else one for one in problems]

    def split(self, split: Split, count: int | None, seed: int) -> list[Problem]:
        """See `Task.split`."""
        return [problem for part in self.parts(split, count, seed) for problem in part]

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match` of the problem's own task."""
        return {"exact_match": self._task(problem).score(problem, response)["exact_match"]}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The answer in the spelling of the problem's own task."""
        return final_answer(self._task(problem), problem, response)

    def _task(self, problem: Problem) -> Task:
        assert isinstance(problem, ThoughtProblem)
        return self.tasks[self.names.index(problem.domain)]

"""Adds label noise to problems: wrong answers, ambiguous questions and coarse answers in known shares, with tags."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.noise.answers import (
    Label,
    Pool,
    Weights,
    drawn,
    final_quantity,
    near_numbers,
    other_options,
    relabelled,
    rounded,
)
from trimtab.data.tasks.noise.label_noise import LabelNoise
from trimtab.errors import ConfigError, DataError
from trimtab.random import derive_seed


@runtime_checkable
class TwoReadings(Protocol):
    """A task that can write some of its questions ambiguously."""

    def two_readings(self, problem: Problem, rng: random.Random) -> tuple[Problem, Problem] | None:
        """Returns one ambiguous question, answered under its first and its second reading, or None if there is none.

        Both problems have the same prompt and the key of `problem`, so the splits still have no question in common. The prompt
        alone determines which reading is the first.
        """


@dataclass(frozen=True)
class _Draws:
    """The random numbers of a row, uniform in [0, 1). All are always drawn, so no setting shifts the draws of another."""

    group: float
    flip: float
    wrong: float
    ambiguous: float
    reading: float
    which: float
    coarse: float


def with_noise(problems: Sequence[Problem], noise: LabelNoise, task: Any, split: Split, seed: int) -> list[Problem]:
    """Returns the problems of a split with noise added; `provenance` records the changes and the `exact` tag of each.

    Raises `ConfigError` if the task does not support the noise, and `DataError` if these problems do not.
    """
    if noise.ambiguous and not isinstance(task, TwoReadings):
        raise ConfigError(
            f"`data.noise.ambiguous` is {noise.ambiguous}, but the task {task.name} has no questions that can be read in two "
            "ways. Set it to 0, or use a task that has such questions (arithmetic)."
        )
    rng = random.Random(derive_seed(seed, "task", task.name, split, "noise"))
    pool = Pool(problems)
    try:
        noisy = [
            _with_noise(problem, noise, task, pool, _Draws(*(rng.random() for _ in range(7)))) for problem in problems
        ]
    except ValueError as error:
        raise DataError(
            f"`data.noise.flip` cannot be applied to the {split} problems of {task.name}: {error}. Set it to 0."
        ) from error
    _check_applied(problems, noisy, noise, task, split)
    return _tagged(noisy, noise, random.Random(derive_seed(seed, "task", task.name, split, "tags")))


def _with_noise(problem: Problem, noise: LabelNoise, task: Any, pool: Pool, draws: _Draws) -> Problem:
    """The problem with noise added; its `uncertainty` is the `exact` tag."""
    changes: dict[str, Any] = {}
    certainty = 1 - problem.uncertainty
    label = Label(problem.answer, problem.answer_numbers)
    pair = None
    if draws.ambiguous < noise.ambiguous:
        pair = task.two_readings(problem, random.Random(int(draws.which * 2**53)))
    if pair is not None:
        changes["ambiguous"] = {"prompt": problem.prompt, "answer": problem.answer}
        first, second = pair
        meant = second if draws.reading < noise.second else first
        label = Label(meant.answer, meant.answer_numbers)
        readings = _mixed([({first.answer: 1.0}, 1 - noise.second), ({second.answer: 1.0}, noise.second)])
        problem = replace(first, key=problem.question, readings=tuple(readings.items()), ambiguous=True)
        certainty *= 1 - noise.second
    before = label.text
    answers: Weights | None = dict(problem.readings or problem.answers) or {label.text: 1.0}
    if noise.flip:
        doubtful = draws.group < noise.doubtful
        changes["group"] = "doubtful" if doubtful else "clean"
        if doubtful:
            chance = noise.flip / noise.doubtful
            certainty *= 1 - chance
            label, answers = _flipped(problem, label, answers, noise, pool, chance, draws)
            if label.text != before:
                changes["flip"] = {"from": before, "to": label.text}
    if draws.coarse < noise.coarse and not problem.options and final_quantity(label) is not None:
        changes["coarse"] = {"from": label.text, "to": noise.coarse_to}
        label = relabelled(label, rounded(label.text, noise.coarse_to))
        certainty /= noise.coarse_to
        if answers is not None:
            answers = _mixed([({rounded(text, noise.coarse_to): 1.0}, weight) for text, weight in answers.items()])
    weights = answers or {}
    if problem.options:
        if problem.option_probabilities or changes.get("group") == "doubtful":
            probabilities = tuple(weights.get(option, 0.0) for option in problem.options)
            certainty = weights.get(problem.truth, 0.0)
            problem = replace(problem, option_probabilities=probabilities)
    elif changes.get("group") == "doubtful" or "coarse" in changes or problem.ambiguous:
        # `accepted` now contains wrong answers, so the right ones move to `readings`.
        right = problem.readings or problem.accepted or ((problem.truth, 1.0),)
        problem = replace(problem, accepted=tuple(weights.items()), readings=right)
    return replace(
        problem,
        answer=label.text,
        answer_numbers=label.numbers,
        uncertainty=1 - certainty,
        noisy=problem.noisy or label.text != before,
        provenance={**problem.provenance, **changes, "exact": 1 - certainty},
    )


def _flipped(
    problem: Problem, label: Label, answers: Weights | None, noise: LabelNoise, pool: Pool, chance: float, draws: _Draws
) -> tuple[Label, Weights | None]:
    """The label of a doubtful row, and the distribution that it is drawn from (None if unknown)."""
    flips = draws.flip < chance
    if not problem.options and final_quantity(label) is None:
        unflipped = [({text: 1.0}, weight * (1 - chance)) for text, weight in (answers or {}).items()]
        wrong = {text: pool.weights(text) for text in answers or {}}
        flipped = [(weights, (answers or {})[text] * chance) for text, weights in wrong.items() if weights is not None]
        answers = _mixed([*unflipped, *flipped]) if answers and len(flipped) == len(wrong) else None
        return (pool.wrong(label.text, draws.wrong) if flips else label), answers

    def others(text: str) -> Weights:
        if problem.options:
            return other_options(text, problem.options)
        return near_numbers(text, noise.decay if noise.flip_kind == "near" else 1.0, noise.reach)

    mixture: list[tuple[Weights, float]] = []
    for text, weight in (answers or {}).items():
        mixture += [({text: 1.0}, weight * (1 - chance)), (others(text), weight * chance)]
    if flips:
        label = relabelled(label, drawn(others(label.text), draws.wrong))
    return label, _mixed(mixture)


def _mixed(parts: Sequence[tuple[Weights, float]]) -> dict[str, float]:
    """The mixture of distributions, each with its share."""
    mixture: dict[str, float] = {}
    for weights, share in parts:
        for text, weight in weights.items():
            mixture[text] = mixture.get(text, 0.0) + weight * share
    return mixture


def _check_applied(
    problems: Sequence[Problem], noisy: Sequence[Problem], noise: LabelNoise, task: Any, split: Split
) -> None:
    """Raises `DataError` if a kind of noise is configured that none of the problems can have."""
    changes = {key for problem in noisy for key in problem.provenance}
    rng = random.Random(0)
    if (
        noise.ambiguous
        and "ambiguous" not in changes
        and not any(task.two_readings(problem, rng) for problem in problems)
    ):
        raise DataError(
            f"`data.noise.ambiguous` is {noise.ambiguous}, but none of the {split} problems of {task.name} has a second "
            "reading. Set it to 0, or configure the task for other questions."
        )
    if noise.coarse and "coarse" not in changes:
        labels = (Label(problem.answer, problem.answer_numbers) for problem in problems if not problem.options)
        if all(final_quantity(label) is None for label in labels):
            raise DataError(
                f"`data.noise.coarse` is {noise.coarse}, but none of the {split} answers of {task.name} ends in a number. Set "
                "it to 0."
            )


def _tagged(problems: Sequence[Problem], noise: LabelNoise, rng: random.Random) -> list[Problem]:
    """The problems with their exact tags replaced by those that the config selects."""
    tags = [problem.uncertainty for problem in problems]
    if noise.tags == "shuffled":
        rng.shuffle(tags)
    elif noise.tags == "noisy":
        tags = [min(1.0, max(0.0, tag + rng.gauss(0.0, noise.tag_noise))) for tag in tags]
    elif noise.tags == "oracle":
        tags = [float(problem.answer != problem.truth) for problem in problems]
    elif noise.tags == "none":
        tags = [0.0] * len(tags)
    return [replace(problem, uncertainty=tag) for problem, tag in zip(problems, tags, strict=True)]

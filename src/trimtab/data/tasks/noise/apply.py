"""Noise by design: wrong answers, ambiguous questions and coarse answers in known shares, with tags that tell of them."""

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
    """A task that can ask some of its questions in an ambiguous way."""

    def two_readings(self, problem: Problem, rng: random.Random) -> tuple[Problem, Problem] | None:
        """One ambiguous question answered under its first and its second reading; None where this problem has none.

        Both have the same prompt, and the key of `problem` (so that the splits still share no question). Which reading is the
        first depends on the prompt alone.
        """


@dataclass(frozen=True)
class _Draws:
    """A row's own numbers, each uniform in [0, 1); always drawn, so that no share moves another's draws."""

    group: float
    flip: float
    wrong: float
    ambiguous: float
    reading: float
    which: float
    coarse: float


def with_noise(problems: Sequence[Problem], noise: LabelNoise, task: Any, split: Split, seed: int) -> list[Problem]:
    """The problems of a split with noise put in. `done` of each says what was done to it, and what tags `exact` would say.

    Raises `ConfigError` where noise asks what the task cannot give, and `DataError` where these problems cannot.
    """
    if noise.ambiguous and not isinstance(task, TwoReadings):
        raise ConfigError(
            f"data: noise.ambiguous is {noise.ambiguous}, and the task {task.name} has no questions that can be read in two "
            "ways. Set it to 0, or use a task that has (arithmetic)."
        )
    rng = random.Random(derive_seed(seed, "task", task.name, split, "noise"))
    pool = Pool(problems)
    try:
        made = [_changed(problem, noise, task, pool, _Draws(*(rng.random() for _ in range(7)))) for problem in problems]
    except ValueError as error:
        raise DataError(
            f"The {split} problems of {task.name} do not allow for noise.flip: {error}. Set it to 0."
        ) from error
    _check_possible(problems, made, noise, task, split)
    return _tagged(made, noise, random.Random(derive_seed(seed, "task", task.name, split, "tags")))


def _changed(problem: Problem, noise: LabelNoise, task: Any, pool: Pool, draws: _Draws) -> Problem:
    """A problem with its noise, its `uncertainty` what tags `exact` say."""
    done: dict[str, Any] = {}
    certainty = 1 - problem.uncertainty
    label = Label(problem.answer, problem.answer_numbers)
    pair = None
    if draws.ambiguous < noise.ambiguous:
        pair = task.two_readings(problem, random.Random(int(draws.which * 2**53)))
    if pair is not None:
        done["ambiguous"] = {"prompt": problem.prompt, "answer": problem.answer}
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
        done["group"] = "doubtful" if doubtful else "clean"
        if doubtful:
            chance = noise.flip / noise.doubtful
            certainty *= 1 - chance
            label, answers = _flipped(problem, label, answers, noise, pool, chance, draws)
            if label.text != before:
                done["flip"] = {"from": before, "to": label.text}
    if draws.coarse < noise.coarse and not problem.options and final_quantity(label) is not None:
        done["coarse"] = {"from": label.text, "to": noise.coarse_to}
        label = relabelled(label, rounded(label.text, noise.coarse_to))
        certainty /= noise.coarse_to
        if answers is not None:
            answers = _mixed([({rounded(text, noise.coarse_to): 1.0}, weight) for text, weight in answers.items()])
    known = answers or {}
    if problem.options:
        told = bool(problem.option_probabilities) or done.get("group") == "doubtful"
        chances = tuple(known.get(option, 0.0) for option in problem.options) if told else ()
        certainty = known.get(problem.truth, 0.0) if told else certainty
        problem = replace(problem, option_probabilities=chances)
    elif done.get("group") == "doubtful" or "coarse" in done or problem.ambiguous:
        # What may be the label is no longer what is right.
        right = problem.readings or problem.accepted or ((problem.truth, 1.0),)
        problem = replace(problem, accepted=tuple(known.items()), readings=right)
    return replace(
        problem,
        answer=label.text,
        answer_numbers=label.numbers,
        uncertainty=1 - certainty,
        noisy=problem.noisy or label.text != before,
        done={**problem.done, **done, "exact": 1 - certainty},
    )


def _flipped(
    problem: Problem, label: Label, answers: Weights | None, noise: LabelNoise, pool: Pool, chance: float, draws: _Draws
) -> tuple[Label, Weights | None]:
    """The label of a doubtful row, and what answers it is drawn from."""
    flips = draws.flip < chance
    if not problem.options and final_quantity(label) is None:
        kept = [({text: 1.0}, weight * (1 - chance)) for text, weight in (answers or {}).items()]
        wrong = {text: pool.weights(text) for text in answers or {}}
        known = [(weights, (answers or {})[text] * chance) for text, weights in wrong.items() if weights is not None]
        answers = _mixed([*kept, *known]) if answers and len(known) == len(wrong) else None
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
    """A mixture of distributions."""
    found: dict[str, float] = {}
    for weights, share in parts:
        for text, weight in weights.items():
            found[text] = found.get(text, 0.0) + weight * share
    return found


def _check_possible(
    problems: Sequence[Problem], made: Sequence[Problem], noise: LabelNoise, task: Any, split: Split
) -> None:
    """Raises `DataError` where a kind of noise was asked for and none of the problems can have it."""
    done = {key for problem in made for key in problem.done}
    rng = random.Random(0)
    if noise.ambiguous and "ambiguous" not in done and not any(task.two_readings(problem, rng) for problem in problems):
        raise DataError(
            f"noise.ambiguous is {noise.ambiguous}, and none of the {split} problems of {task.name} has a second reading. Set it "
            "to 0, or let the task ask other questions."
        )
    if noise.coarse and "coarse" not in done:
        labels = (Label(problem.answer, problem.answer_numbers) for problem in problems if not problem.options)
        if all(final_quantity(label) is None for label in labels):
            raise DataError(
                f"noise.coarse is {noise.coarse}, and none of the {split} answers of {task.name} ends in a number. Set it to 0."
            )


def _tagged(problems: Sequence[Problem], noise: LabelNoise, rng: random.Random) -> list[Problem]:
    """The problems with the tags that a loss will see in the place of their exact ones."""
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

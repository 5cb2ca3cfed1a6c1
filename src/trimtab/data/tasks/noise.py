"""Noise by design: wrong answers, ambiguous questions and coarse answers in known shares, with tags that tell of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol, Self, runtime_checkable

from pydantic import Field, model_validator

from trimtab.config.schema import Frozen
from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.noise_answers import (
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
from trimtab.errors import ConfigError, DataError
from trimtab.random import derive_seed


class Noise(Frozen):
    """How the problems of a task are changed, and what a loss learns of it.

    *Flips.* A row is doubtful with probability `doubtful`, else clean; a doubtful row's answer is replaced by a wrong one with
    probability `flip / doubtful`, a clean one's never. A number at the end of an answer becomes another within `reach`: `near`
    with a chance falling by `decay` a unit of distance, `uniform` with all alike. One of a problem's options becomes another
    of them, all alike. Any other text becomes the answer of another problem.

    *Ambiguous questions.* Of the problems that can be read in two ways a share `ambiguous` is asked so; the label is the second
    reading's with probability `second`. The truth is the first reading's.

    *Coarse answers.* A share `coarse` of the answers that end in a number gets it rounded to a multiple of `coarse_to`.

    *Tags.* `exact` is the probability that the label is not the truth, as far as it is known *before* the draws: of what
    group the row is, whether it is ambiguous, whether it was rounded. It is
    1 − (1 − own)(1 − flip/doubtful)(1 − second)/coarse_to with the factors that apply to the row (`own` is the uncertainty
    that the task itself gives; a rounded number is the truth one time in coarse_to), and where there are options, 1 minus
    the truth's probability. So it tells which rows to doubt, never which labels are wrong. `shuffled` is the same tags
    permuted over the rows: a control that has the same weights on average and no knowledge. `noisy` adds a normal draw of
    standard deviation `tag_noise`, kept within [0, 1]. `oracle` is 1 where the label is not the truth and 0 elsewhere; no
    real tag knows that. `none` is 0.

    Every draw of a row is a number of its own from a stream that only noise uses: the problems are the same with and without
    noise, and a larger share changes the rows that a smaller one did, in the same way, and more.
    """

    flip: Annotated[float, Field(ge=0, lt=1, description="share of the answers replaced by a wrong one")] = 0.0
    flip_kind: Annotated[
        Literal["near", "uniform"],
        Field(description="which wrong numbers are likely: near ones, or all within reach alike"),
    ] = "near"
    reach: Annotated[
        int, Field(ge=1, le=100, description="how far a wrong number is at most, in units of its last place")
    ] = 10
    decay: Annotated[
        float, Field(gt=0, le=1, description="of near numbers: the chance of one against that of one a unit nearer")
    ] = 0.5
    doubtful: Annotated[
        float, Field(gt=0, le=1, description="share of the rows among which all flips are; at least `flip`")
    ] = 0.5
    ambiguous: Annotated[
        float, Field(ge=0, le=1, description="of the questions that have a second reading, the share that is asked so")
    ] = 0.0
    second: Annotated[float, Field(gt=0, le=0.5, description="probability of the second reading's answer")] = 0.5
    coarse: Annotated[float, Field(ge=0, le=1, description="share of the numbers that are rounded")] = 0.0
    coarse_to: Annotated[int, Field(ge=2, description="what numbers are rounded to a multiple of")] = 10
    tags: Annotated[
        Literal["exact", "shuffled", "noisy", "oracle", "none"],
        Field(description="what the uncertainty of a row tells; see the class `Noise`"),
    ] = "exact"
    tag_noise: Annotated[float, Field(ge=0, description="standard deviation of what `tags: noisy` adds")] = 0.2
    validation: Annotated[bool, Field(description="whether the validation split is made noisy too")] = False

    @model_validator(mode="after")
    def _flips_fit_in(self) -> Self:
        if self.flip > self.doubtful:
            raise ValueError(
                f"flip is {self.flip} and doubtful {self.doubtful}, but only doubtful rows are flipped. Raise doubtful to at "
                "least flip"
            )
        return self


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


def with_noise(problems: Sequence[Problem], noise: Noise, task: Any, split: Split, seed: int) -> list[Problem]:
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


def _changed(problem: Problem, noise: Noise, task: Any, pool: Pool, draws: _Draws) -> Problem:
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
    problem: Problem, label: Label, answers: Weights | None, noise: Noise, pool: Pool, chance: float, draws: _Draws
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
    problems: Sequence[Problem], made: Sequence[Problem], noise: Noise, task: Any, split: Split
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


def _tagged(problems: Sequence[Problem], noise: Noise, rng: random.Random) -> list[Problem]:
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

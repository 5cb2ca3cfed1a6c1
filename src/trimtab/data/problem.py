"""Problems with known answers, the roles of the numbers in them, and the protocol of a task that makes and scores them."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

Split = Literal["train", "validation"]


class Role(IntEnum):
    """What a span of text means in its problem. A loss may soften quantities, but never categories or indices."""

    TEXT = 0
    QUANTITY = 1
    CATEGORY = 2
    INDEX = 3
    STRUCTURE = 4


class Number(NamedTuple):
    """A span of a text, most often a number: the characters from `start` up to `end` (exclusive), with their role."""

    start: int
    end: int
    role: Role


@dataclass(frozen=True)
class Problem:
    """One question with its answer.

    `answer` is the label that a model is trained on, `truth` the right answer. They differ only where noise was added on purpose
    or where the answer itself is random; `truth` is then a most likely answer. `options` and `option_probabilities` give the
    exact distribution of answers where it is known; the probabilities add up to 1. Where a label is drawn from several answers,
    `accepted` lists them with their weights. `readings` are the right answers with their weights where the question is ambiguous
    or where `accepted` contains wrong answers. `uncertainty`, in [0, 1], is what a loss may know about the label.
    `prompt_numbers` and `answer_numbers` are the numbers of the two texts; where two spans overlap, the later one counts.
    `provenance` records how the problem was made and what noise changed. Two problems with the same `key` are the same question;
    the two splits have no question in common.
    """

    prompt: str
    answer: str
    truth: str
    level: int = 1
    key: str = ""
    options: tuple[str, ...] = ()
    option_probabilities: tuple[float, ...] = ()
    accepted: tuple[tuple[str, float], ...] = ()
    readings: tuple[tuple[str, float], ...] = ()
    uncertainty: float = 0.0
    noisy: bool = False
    ambiguous: bool = False
    prompt_numbers: Sequence[Number] = ()
    answer_numbers: Sequence[Number] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The identity of the question: `key`, or the prompt if there is no key."""
        return self.key or self.prompt

    @property
    def answers(self) -> tuple[tuple[str, float], ...]:
        """The answers that the label is drawn from, with their probabilities; empty if only one answer is known."""
        options = zip(self.options, self.option_probabilities, strict=bool(self.option_probabilities))
        return self.accepted or tuple((text, weight) for text, weight in options if weight > 0)

    @property
    def right_answers(self) -> tuple[str, ...]:
        """The truth and, for an ambiguous question, every reading that is at least as likely as the truth."""
        weights = dict(self.readings)
        least = weights.get(self.truth)
        return (self.truth,) if least is None else tuple(text for text, weight in self.readings if weight >= least)

    def metadata(self) -> dict[str, Any]:
        """The metadata of the problem's item in a dataset."""
        metadata: dict[str, Any] = {
            "prompt": self.prompt,
            "answer": self.answer,
            "truth": self.truth,
            "level": self.level,
            "uncertainty": self.uncertainty,
            "noisy": self.noisy,
            "ambiguous": self.ambiguous,
        }
        if self.accepted:
            metadata["target_set"] = [text for text, _ in self.accepted]
        if self.options:
            metadata["options"] = list(self.options)
            metadata["option_probabilities"] = list(self.option_probabilities)
        return metadata


class Task(Protocol):
    """A source of problems that can score answers to them."""

    @property
    def name(self) -> str:
        """The name to display."""

    @property
    def metrics(self) -> Sequence[str]:
        """The names of the metrics that `score` returns; the first is `exact_match`."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything besides seed and count that determines the problems, as JSON values; part of the data fingerprint."""

    def split(self, split: Split, count: int | None, seed: int) -> Sequence[Problem]:
        """Returns `count` problems of a split, or all of them for None (finite tasks only).

        The same arguments return the same problems, and the two splits have no question in common. Raises `DataError` if a
        validation split of `count` problems needs more different questions than the task has.
        """

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """Returns the metrics of a response, each in [0, 1]; `exact_match` is 1 for the right answer. Never raises."""


class Working(NamedTuple):
    """The steps that lead to an answer, and the number of the method that they follow, if a task has several."""

    steps: str
    method: int | None = None


@runtime_checkable
class ShowsWorking(Protocol):
    """A task that can write out how the answer to a problem is found."""

    def working(self, problem: Problem) -> Working:
        """Returns the working of one of the task's problems. Raises `ConfigError` where its answers contain it already."""


@runtime_checkable
class FinalAnswers(Protocol):
    """A task whose responses may contain more than the answer, such as working, units or remarks."""

    def final_answer(self, problem: Problem, response: str) -> str:
        """Returns the answer in a response, in one spelling: responses with equal answers give equal texts. Never raises."""


def final_answer(task: Task, problem: Problem, response: str) -> str:
    """Returns the answer in a response, for comparison with other responses.

    A task without `final_answer` gets the whole response, with its case, white space and Unicode form normalised.
    """
    if isinstance(task, FinalAnswers):
        return task.final_answer(problem, response)
    return " ".join(unicodedata.normalize("NFKC", response).casefold().split())

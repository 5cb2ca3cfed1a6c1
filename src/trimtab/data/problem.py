"""What a task is made of: problems, the roles of their numbers, and a verifier."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

Split = Literal["train", "validation"]


class Role(IntEnum):
    """What a stretch of text is to its problem; losses may soften a quantity and never a category or an index."""

    TEXT = 0
    QUANTITY = 1
    CATEGORY = 2
    INDEX = 3
    STRUCTURE = 4


class Number(NamedTuple):
    """A stretch of a text, most often a number: characters `start` to `end` (exclusive), and what it is there."""

    start: int
    end: int
    role: Role


@dataclass(frozen=True)
class Problem:
    """One question with its answer.

    `answer` is the text that a model is trained to give, `truth` the right one; they differ only where noise was put in on
    purpose, or where the answer itself is a draw (then `truth` is a likeliest one). `options` and `option_probabilities` hold
    the exact distribution of answers where it is known (probabilities add up to 1); `accepted` the answers that a label is
    drawn from, with their weights, where they are several. `readings` are the right answers with their weights where the
    question is ambiguous, or where `accepted` has wrong ones. `uncertainty` in [0, 1] is what a loss may be told about the
    answer. `prompt_numbers` and `answer_numbers` are the numbers of the two texts; where two overlap the later one stands.
    `done` is the log of what noise did. `key` is what makes two problems the same question: the splits share none.
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
    done: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """What makes two problems the same question: `key`, or the prompt where there is none."""
        return self.key or self.prompt

    @property
    def answers(self) -> tuple[tuple[str, float], ...]:
        """The answers that the label is drawn from, with their probabilities; empty where only one is known."""
        options = zip(self.options, self.option_probabilities, strict=bool(self.option_probabilities))
        return self.accepted or tuple((text, weight) for text, weight in options if weight > 0)

    @property
    def likeliest(self) -> tuple[str, ...]:
        """The right answers: the truth, and of an ambiguous question every reading that is at least as likely."""
        weights = dict(self.readings)
        least = weights.get(self.truth)
        return (self.truth,) if least is None else tuple(text for text, weight in self.readings if weight >= least)

    def metadata(self) -> dict[str, Any]:
        """What an item carries beside its tokens."""
        found: dict[str, Any] = {
            "prompt": self.prompt,
            "answer": self.answer,
            "truth": self.truth,
            "level": self.level,
            "uncertainty": self.uncertainty,
            "noisy": self.noisy,
            "ambiguous": self.ambiguous,
        }
        if self.accepted:
            found["target_set"] = [text for text, _ in self.accepted]
        if self.options:
            found["options"], found["option_probabilities"] = list(self.options), list(self.option_probabilities)
        return found


class Task(Protocol):
    """A source of problems and the verifier of answers to them."""

    @property
    def name(self) -> str:
        """How the task is shown."""

    @property
    def figures(self) -> Sequence[str]:
        """The names of what `score` returns; the first is `exact_match`."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides the problems beside seed and count, as JSON values; it goes into the data's fingerprint."""

    def split(self, split: Split, count: int | None, seed: int) -> Sequence[Problem]:
        """The problems of a split: `count` of them, or all that there are (None: only a task that is finite).

        The same arguments give the same problems; the two splits share no question. Raises `DataError` when there are not
        as many different questions as a validation split asks for.
        """

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """What a response is worth, each figure in [0, 1]; `exact_match` is 1 for the right answer. Never raises."""


@runtime_checkable
class FinalAnswers(Protocol):
    """A task whose responses may hold more than the answer: working, units, remarks."""

    def final_answer(self, problem: Problem, response: str) -> str:
        """The answer that a response gives, spelled one way: two responses that say the same give the same. Never raises."""


def final_answer(task: Task, problem: Problem, response: str) -> str:
    """What a response answers, to be compared with other responses: the task's word, else the whole text's words."""
    if isinstance(task, FinalAnswers):
        return task.final_answer(problem, response)
    return " ".join(unicodedata.normalize("NFKC", response).casefold().split())

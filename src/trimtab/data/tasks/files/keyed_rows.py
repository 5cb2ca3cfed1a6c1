"""From a row of questions and answers, with keys of anybody's choice, to a problem; and when an answer is right."""

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.boundary import printable, shortened
from trimtab.data.problem import Problem
from trimtab.data.tasks.files.roles import NumbersOf
from trimtab.data.tasks.files.rows import (
    BadRowError,
    checked_number,
    checked_text,
    question_key,
    text_of,
    value_of,
)
from trimtab.data.tasks.files.task import FileTask, OnBadRow, Source
from trimtab.data.tasks.numbers import final_number, final_words, gold_number

Match = Annotated[
    Literal["exact", "normalised", "number"],
    Field(description="how answers are compared: as they stand, as SQuAD normalises them, or by the final number"),
]
PromptKey = Annotated[str, Field(min_length=1, description="the key of the prompt; `a.b` reaches inside")]
AnswerKey = Annotated[str, Field(min_length=1, description="the key of the answer, or of a list of accepted ones")]
AcceptedKey = Annotated[str | None, Field(description="the key of further accepted answers; a row may lack it")]
UncertaintyKey = Annotated[
    str | None, Field(description="the key of a number from 0 to 1: how uncertain the answer is")
]
OptionsKey = Annotated[str | None, Field(description="the key of the list of possible answers")]
ProbabilitiesKey = Annotated[
    str | None,
    Field(description="the key of the options' probabilities, a list that adds up to 1; needs `options_key`"),
]
LevelKey = Annotated[
    str | None, Field(description="the key of a whole number, the level of difficulty; null: all problems have 1")
]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class RowReader:
    """Which key of a row holds what, and how answers are compared; see the task `jsonl`.

    Raises ValueError for probabilities without options.
    """

    prompt_key: str
    answer_key: str
    match: Match
    accepted_key: str | None = None
    uncertainty_key: str | None = None
    options_key: str | None = None
    probabilities_key: str | None = None
    level_key: str | None = None

    def __post_init__(self) -> None:
        if self.probabilities_key is not None and self.options_key is None:
            raise ValueError(
                "`probabilities_key` needs `options_key`, the list of answers that they are the probabilities of"
            )

    @property
    def keys(self) -> list[str]:
        """All keys that are read."""
        return [key for name, key in asdict(self).items() if name != "match" and key is not None]

    def problem(self, values: Mapping[str, Any]) -> Problem:
        """The problem of a row. Raises `BadRowError` where it is none."""
        prompt = text_of(values, self.prompt_key)
        answers = self._answers(values)
        if self.match == "number":
            for answer in answers:
                if gold_number(answer) is None:
                    raise BadRowError(
                        f"the answer {shortened(printable(answer), 60)!r} has no plain number, which `match: number` compares"
                    )
        options, probabilities = self._options(values, answers[0])
        accepted = tuple((answer, 1 / len(answers)) for answer in answers) if len(answers) > 1 else ()
        answer = answers[0]
        return Problem(
            prompt=f"{prompt}\n",
            answer=answer,
            truth=answer,
            level=self._level(values),
            key=question_key(prompt),
            options=options,
            option_probabilities=probabilities,
            accepted=accepted,
            uncertainty=self._uncertainty(values),
            ambiguous=False,
            prompt_numbers=NumbersOf(prompt),
            answer_numbers=NumbersOf(answer),
        )

    def _answers(self, values: Mapping[str, Any]) -> list[str]:
        """All accepted answers, each once, the one to train on first."""
        found = _texts(value_of(values, self.answer_key), repr(self.answer_key))
        if self.accepted_key is not None and values.get(self.accepted_key) is not None:
            found += _texts(values[self.accepted_key], repr(self.accepted_key))
        return list(dict.fromkeys(found))

    def _options(self, values: Mapping[str, Any], answer: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
        if self.options_key is None:
            return (), ()
        options = _texts(value_of(values, self.options_key), repr(self.options_key))
        if len(set(options)) < len(options):
            raise BadRowError(f"{self.options_key!r} names an option twice")
        if answer not in options:
            raise BadRowError(
                f"the answer {answer[:60]!r} is none of the options in {self.options_key!r}, letter by letter"
            )
        if self.probabilities_key is None:
            return tuple(options), ()
        given = value_of(values, self.probabilities_key)
        if not isinstance(given, list) or len(given) != len(options):
            raise BadRowError(f"{self.probabilities_key!r} needs a list of {len(options)} numbers, one an option")
        probabilities = [checked_number(value, repr(self.probabilities_key)) for value in given]
        if min(probabilities) < 0 or abs(sum(probabilities) - 1) > 1e-6:
            raise BadRowError(
                f"{self.probabilities_key!r} are no probabilities: they must be 0 or more and add up to 1, and add up to "
                f"{sum(probabilities):g}"
            )
        total = sum(probabilities)
        return tuple(options), tuple(value / total for value in probabilities)

    def _uncertainty(self, values: Mapping[str, Any]) -> float:
        if self.uncertainty_key is None:
            return 0.0
        number = checked_number(value_of(values, self.uncertainty_key), repr(self.uncertainty_key))
        if not 0 <= number <= 1:
            raise BadRowError(f"{self.uncertainty_key!r} is {number:g}, and lies between 0 and 1")
        return number

    def _level(self, values: Mapping[str, Any]) -> int:
        if self.level_key is None:
            return 1
        value = value_of(values, self.level_key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
            raise BadRowError(f"{self.level_key!r} must be a whole number from 0 on, the level of difficulty")
        return value


class KeyedRowTask(FileTask):
    """Base of the tasks whose rows are read by keys that the config names; a subclass says where the rows are."""

    def __init__(self, train: Source, validation: Source | None, on_bad_row: OnBadRow, reader: RowReader) -> None:
        super().__init__(train, validation, on_bad_row)
        self.reader = reader

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse keys that do not fit together, before a run begins."""
        RowReader(**{key: parameters[key] for key in RowReader.__dataclass_fields__})

    @property
    def described(self) -> Mapping[str, Any]:
        """The keys and the way of comparing."""
        return asdict(self.reader)

    def problem(self, values: Mapping[str, Any]) -> Problem:
        """The problem of a row. Raises `BadRowError` where it is none."""
        return self.reader.problem(values)

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: whether the response is one of the accepted answers, compared as `match` says."""
        accepted = [text for text, _ in problem.readings or problem.accepted] or [problem.truth]
        return {"exact_match": float(matches(self.reader.match, response, accepted))}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The response as `match` compares it."""
        if self.reader.match == "exact":
            return response.strip()
        return final_words(response) if self.reader.match == "number" else normalised(response)


def matches(match: Match, response: str, accepted: Sequence[str]) -> bool:
    """Whether a response is one of the accepted answers.

    *exact*: the same text but for white space around it. *normalised*: the same after SQuAD's normalisation (Rajpurkar et al.
    2016: small letters, no punctuation, no articles a/an/the, single spaces; Unicode brought to NFKC first). *number*: the
    final numbers are equal (`final_number`), whatever text is around them.
    """
    if match == "exact":
        return response.strip() in accepted
    if match == "number":
        found = final_number(response)
        return found is not None and any(found == final_number(answer) for answer in accepted)
    found_text = normalised(response)
    return any(found_text == normalised(answer) for answer in accepted)


def normalised(text: str) -> str:
    """A text as SQuAD's evaluation compares it; one that would be nothing then, such as "?" or "the", stays itself."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    short = " ".join(_ARTICLES.sub(" ", plain.lower().translate(_PUNCTUATION)).split())
    return short or " ".join(plain.lower().split())


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        return [checked_text(value, name, numbers=True)]
    if not value:
        raise BadRowError(f"{name} is an empty list")
    return [checked_text(item, f"{name}[{index}]", numbers=True) for index, item in enumerate(value)]

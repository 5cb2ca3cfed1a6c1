"""Tasks whose rows have the prompt, the answer and so on under configurable keys."""

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
    Field(description="how answers are compared: exactly, after SQuAD's normalisation, or by their final number"),
]
PromptKey = Annotated[str, Field(min_length=1, description="key of the prompt; `a.b` is the key `b` within `a`")]
AnswerKey = Annotated[str, Field(min_length=1, description="key of the answer, or of a list of accepted answers")]
AcceptedKey = Annotated[str | None, Field(description="key of further accepted answers; rows may lack it")]
UncertaintyKey = Annotated[str | None, Field(description="key of the uncertainty of the answer, a number from 0 to 1")]
OptionsKey = Annotated[str | None, Field(description="key of the list of possible answers")]
ProbabilitiesKey = Annotated[
    str | None,
    Field(description="key of the probabilities of the options, a list that adds up to 1; requires `options_key`"),
]
LevelKey = Annotated[
    str | None,
    Field(description="key of the level of difficulty, a whole number; with null, all problems have level 1"),
]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class RowReader:
    """The keys of a row, and how answers are compared; see the task `jsonl`.

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
            raise ValueError("`probabilities_key` requires `options_key`, the answers that have these probabilities")

    @property
    def keys(self) -> list[str]:
        """All keys that are read from a row."""
        return [key for name, key in asdict(self).items() if name != "match" and key is not None]

    def problem(self, values: Mapping[str, Any]) -> Problem:
        """Returns the problem of a row. Raises `BadRowError` if the row cannot become one."""
        prompt = text_of(values, self.prompt_key)
        answers = self._answers(values)
        if self.match == "number":
            for answer in answers:
                if gold_number(answer) is None:
                    raise BadRowError(
                        f"the answer {shortened(printable(answer), 60)!r} has no plain number, which `match: number` requires"
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
        """All accepted answers without repetitions; the first is the label."""
        answers = _texts(value_of(values, self.answer_key), repr(self.answer_key))
        if self.accepted_key is not None and values.get(self.accepted_key) is not None:
            answers += _texts(values[self.accepted_key], repr(self.accepted_key))
        return list(dict.fromkeys(answers))

    def _options(self, values: Mapping[str, Any], answer: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
        if self.options_key is None:
            return (), ()
        options = _texts(value_of(values, self.options_key), repr(self.options_key))
        if len(set(options)) < len(options):
            raise BadRowError(f"{self.options_key!r} contains an option twice")
        if answer not in options:
            raise BadRowError(f"the answer {answer[:60]!r} is not exactly one of the options in {self.options_key!r}")
        if self.probabilities_key is None:
            return tuple(options), ()
        numbers = value_of(values, self.probabilities_key)
        if not isinstance(numbers, list) or len(numbers) != len(options):
            raise BadRowError(f"{self.probabilities_key!r} must be a list of {len(options)} numbers, one per option")
        probabilities = [checked_number(value, repr(self.probabilities_key)) for value in numbers]
        if min(probabilities) < 0 or abs(sum(probabilities) - 1) > 1e-6:
            raise BadRowError(
                f"{self.probabilities_key!r} must be numbers from 0 to 1 that add up to 1; they add up to {sum(probabilities):g}"
            )
        total = sum(probabilities)
        return tuple(options), tuple(value / total for value in probabilities)

    def _uncertainty(self, values: Mapping[str, Any]) -> float:
        if self.uncertainty_key is None:
            return 0.0
        number = checked_number(value_of(values, self.uncertainty_key), repr(self.uncertainty_key))
        if not 0 <= number <= 1:
            raise BadRowError(f"{self.uncertainty_key!r} is {number:g}, but must be between 0 and 1")
        return number

    def _level(self, values: Mapping[str, Any]) -> int:
        if self.level_key is None:
            return 1
        value = value_of(values, self.level_key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
            raise BadRowError(f"{self.level_key!r} must be a level of difficulty, a whole number that is 0 or more")
        return value


class KeyedRowTask(FileTask):
    """Base of the tasks whose keys are configurable; a subclass provides the sources of rows."""

    def __init__(self, train: Source, validation: Source | None, on_bad_row: OnBadRow, reader: RowReader) -> None:
        super().__init__(train, validation, on_bad_row)
        self.reader = reader

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for keys that do not fit together."""
        RowReader(**{key: parameters[key] for key in RowReader.__dataclass_fields__})

    @property
    def parameters(self) -> Mapping[str, Any]:
        """See `FileTask.parameters`: the keys and how answers are compared."""
        return asdict(self.reader)

    def problem(self, values: Mapping[str, Any]) -> Problem:
        """See `FileTask.problem`."""
        return self.reader.problem(values)

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: whether the response is one of the accepted answers (see `matches`)."""
        accepted = [text for text, _ in problem.readings or problem.accepted] or [problem.truth]
        return {"exact_match": float(matches(self.reader.match, response, accepted))}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The response in the form that `matches` compares."""
        if self.reader.match == "exact":
            return response.strip()
        return final_words(response) if self.reader.match == "number" else normalised(response)


def matches(match: Match, response: str, accepted: Sequence[str]) -> bool:
    """Returns whether a response is one of the accepted answers.

    *exact*: the texts are equal except for white space around them. *normalised*: the texts are equal after SQuAD's normalisation
    (Rajpurkar et al. 2016: lower case, no punctuation, no articles a/an/the, single spaces), preceded by Unicode NFKC. *number*:
    the final numbers are equal (see `final_number`), whatever text is around them.
    """
    if match == "exact":
        return response.strip() in accepted
    if match == "number":
        number = final_number(response)
        return number is not None and any(number == final_number(answer) for answer in accepted)
    text = normalised(response)
    return any(text == normalised(answer) for answer in accepted)


def normalised(text: str) -> str:
    """Returns a text after SQuAD's normalisation. A text that would become empty, such as "?" or "the", is only lower-cased."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    short = " ".join(_ARTICLES.sub(" ", plain.lower().translate(_PUNCTUATION)).split())
    return short or " ".join(plain.lower().split())


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        return [checked_text(value, name, numbers=True)]
    if not value:
        raise BadRowError(f"{name} is an empty list")
    return [checked_text(item, f"{name}[{index}]", numbers=True) for index, item in enumerate(value)]

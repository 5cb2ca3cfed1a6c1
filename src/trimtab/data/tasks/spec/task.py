"""From requirements to a specification: sentences in, JSON under a schema out."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from trimtab.data.problem import Number, Problem, Role
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.spec.schema import validator
from trimtab.data.tasks.spec.scoring import FIGURES, compare
from trimtab.data.tasks.spec.sentences import service
from trimtab.data.tasks.writing import Writer

_MARKED = re.compile(
    # A colon after a quotation mark is JSON's; the one of `nginx:1.4` is the image's.
    r"(?P<structure>(?:[{}\[\]\",]|(?<=\"):)+)"
    r"|(?P<category>(?<=\"port\":)[0-9]+|(?<=[a-z]:)[0-9]+\.[0-9]+)"
    r"|(?P<quantity>[0-9]+)"
)
_ROLES = {"structure": Role.STRUCTURE, "category": Role.CATEGORY, "quantity": Role.QUANTITY}


class Spec(GeneratedTask):
    """Requirements for a service in sentences, answered by its specification: one line of JSON under `spec.SCHEMA`.

    | level | fields | nesting and order |
    | --- | --- | --- |
    | 1 | name, port, perhaps replicas | flat, in order |
    | 2 | up to eight: also image, memory with unit, cpu, flags | flat, in any order |
    | 3 | also restart | the environment, a health check |
    | 4 | also retries | volumes by their index, and defaults that are asked for and must be left out |

    The answer has no spaces, the schema's order of fields, the environment sorted by name, and no field that is at its default.
    Roles: ports and image versions are categories, volume numbers indices, all other numbers quantities; the answer's
    punctuation is structure. Other sentences for the same specification do not make another question.
    Raises ConfigError where the library jsonschema is missing.
    """

    name = "spec"
    figures = FIGURES

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=4)], ...],
            Field(
                min_length=1, description="Levels to draw from, in turn: more fields, nesting, defaults to leave out."
            ),
        ] = (1, 2, 3, 4),
    ) -> None:
        self.levels: Sequence[int] = levels
        validator()

    @property
    def identity(self) -> Mapping[str, Any]:
        """Levels and the version of the sentences."""
        return {"levels": list(self.levels), "version": 1}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """One service of a level and sentences that require it."""
        spec, sentences, stated = service(level, rng)
        prompt = Writer()
        for index, (sentence, values) in enumerate(sentences):
            if index:
                prompt.add(" ")
            sentence.write(prompt, values)
        prompt.add("\n")
        answer = json.dumps(spec, separators=(",", ":"))
        marked = tuple(Number(*match.span(), _ROLES[match.lastgroup or ""]) for match in _MARKED.finditer(answer))
        return Problem(
            prompt=prompt.text,
            answer=answer,
            truth=answer,
            level=level,
            key=" ".join([answer, *stated]),
            prompt_numbers=tuple(prompt.numbers),
            answer_numbers=marked,
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """See `scoring.compare`."""
        return compare(response, problem.truth)

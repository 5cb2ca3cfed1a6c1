"""The task `spec`: from requirements in sentences to a specification in JSON."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from trimtab.data.problem import Number, Problem, Role
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.spec.schema import validator
from trimtab.data.tasks.spec.scoring import METRICS, compare
from trimtab.data.tasks.spec.sentences import service
from trimtab.data.tasks.writing import Writer

_ROLE_SPANS = re.compile(
    # A colon after a quotation mark belongs to JSON; the one in `nginx:1.4` belongs to the image.
    r"(?P<structure>(?:[{}\[\]\",]|(?<=\"):)+)"
    r"|(?P<category>(?<=\"port\":)[0-9]+|(?<=[a-z]:)[0-9]+\.[0-9]+)"
    r"|(?P<quantity>[0-9]+)"
)
_ROLES = {"structure": Role.STRUCTURE, "category": Role.CATEGORY, "quantity": Role.QUANTITY}


class Spec(GeneratedTask):
    """Requirements for a service in sentences; the answer is its specification, one line of JSON valid under `spec.SCHEMA`.

    | level | fields | nesting and order |
    | --- | --- | --- |
    | 1 | name, port, perhaps replicas | flat, in order |
    | 2 | up to eight: also image, memory with unit, cpu, flags | flat, in any order |
    | 3 | also restart | the environment, a health check |
    | 4 | also retries | indexed volumes, and requirements that state a default, whose field must be omitted |

    The answer has no spaces; fields are in the order of the schema, the environment is sorted by name, and fields with their
    default value are omitted. Ports and image versions are categories, volume numbers indices, and all other numbers quantities;
    the punctuation of the answer is structure. Different sentences for the same specification have the same key. Raises
    ConfigError if the library jsonschema is not installed.
    """

    name = "spec"
    metrics = METRICS

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=4)], ...],
            Field(min_length=1, description="Levels to draw from, in turn: more fields, nesting and defaults to omit."),
        ] = (1, 2, 3, 4),
    ) -> None:
        self.levels: Sequence[int] = levels
        validator()

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        return {"levels": list(self.levels), "version": 1}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """See `GeneratedTask.problem`."""
        spec, sentences, defaults = service(level, rng)
        prompt = Writer()
        for index, (sentence, values) in enumerate(sentences):
            if index:
                prompt.add(" ")
            sentence.write(prompt, values)
        prompt.add("\n")
        answer = json.dumps(spec, separators=(",", ":"))
        roles = tuple(Number(*match.span(), _ROLES[match.lastgroup or ""]) for match in _ROLE_SPANS.finditer(answer))
        return Problem(
            prompt=prompt.text,
            answer=answer,
            truth=answer,
            level=level,
            key=" ".join([answer, *defaults]),
            prompt_numbers=tuple(prompt.numbers),
            answer_numbers=roles,
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """See `scoring.compare`."""
        return compare(response, problem.truth)

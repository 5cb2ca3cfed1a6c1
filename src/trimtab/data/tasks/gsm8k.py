"""The task `gsm8k`: grade-school mathematics with worked solutions, in the format of GSM8K."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from trimtab.boundary import printable, shortened
from trimtab.config.schema import FILE_PATH
from trimtab.data.problem import Number, Problem, Role
from trimtab.data.tasks.files import (
    BadRowError,
    FileTask,
    OnBadRow,
    ValidationPath,
    json_lines_sources,
    question_key,
    text_of,
)
from trimtab.data.tasks.files.roles import NumbersOf
from trimtab.data.tasks.numbers import MARK, final_number, final_words, gold_number
from trimtab.errors import ConfigError

_ANNOTATION = re.compile(r"<<[^<>\n]*>>")
_FILES = (
    "GSM8K is at github.com/openai/grade-school-math (MIT licence), in grade_school_math/data/train.jsonl and test.jsonl: "
    'one object per line, {"question": ..., "answer": ...}, whose answer ends in `#### ` and the final number'
)


class GSM8K(FileTask):
    """Problems of GSM8K (Cobbe et al. 2021, *Training Verifiers to Solve Math Word Problems*) from its original files.

    A prompt is the question and a line break. The answer is the final number or, with `solution`, the worked solution, which ends
    in `#### ` and that number. A row whose number is not plain (see `gold_number`) is a bad row. The calculator annotations of a
    solution, `<<3*4=12>>`, are kept or removed. A number on its own is written without commas. The level of a problem is the
    number of annotations in its solution, from 1 to 8, which is the number of calculation steps. `exact_match` is 1 if the final
    number of the response (see `final_number`) equals the right one.
    """

    name = "gsm8k"

    def __init__(
        self,
        *,
        path: Annotated[
            str | None,
            Field(
                description="JSONL file of the problems; with `validation_path`, of the training problems only",
                json_schema_extra=FILE_PATH,
            ),
        ] = None,
        validation_path: ValidationPath = None,
        solution: Annotated[
            bool, Field(description="whether to train on the worked solution or on the final number alone")
        ] = False,
        annotations: Annotated[
            bool, Field(description="whether to keep the calculator annotations, <<3*4=12>>, in the solutions")
        ] = False,
        line_break: Annotated[
            str,
            Field(
                min_length=1,
                description="replacement for the line breaks of a solution; required where a newline ends an answer",
            ),
        ] = "\n",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        if path is None:
            raise ConfigError(f"`data.task.path` is missing: the task gsm8k needs its file. {_FILES}.")
        super().__init__(*json_lines_sources(path, validation_path), on_bad_row)
        self.solution, self.annotations, self.line_break = solution, annotations, line_break

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for a config without a file."""
        if parameters["path"] is None:
            raise ValueError(f"`path` is not set. {_FILES}. Set `data.task.path` to the file")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """See `FileTask.parameters`."""
        return {"solution": self.solution, "annotations": self.annotations, "line_break": self.line_break}

    def problem(self, values: Mapping[str, Any]) -> Problem:
        """See `FileTask.problem`."""
        question, solution = text_of(values, "question"), text_of(values, "answer").replace("\r\n", "\n")
        work, mark, final = solution.partition(MARK)
        final = final.strip()
        if MARK in final:
            raise BadRowError(f"its answer has `{MARK}` more than once, so it is not clear which number is the answer")
        number = gold_number(f"{MARK} {final}") if mark else None
        if number is None:
            ends = shortened(printable(f"{mark} {final}" if mark else solution[-40:]), 60)
            raise BadRowError(
                f"its answer must end in `{MARK} ` and one plain number, but ends in {ends!r}; fractions, times, units, spaces "
                "between digits and markup are not accepted"
            )
        steps = len(_ANNOTATION.findall(work))
        if self.solution:
            work = work.rstrip() if self.annotations else _ANNOTATION.sub("", work).rstrip()
            answer = f"{work}\n{MARK} {final}".lstrip("\n").replace("\n", self.line_break)
            if final_number(answer) != number:
                raise BadRowError(
                    "with this `line_break`, the final number of its solution is not the first number after a mark"
                )
            numbers: Sequence[Number] = NumbersOf(answer)
        else:
            answer = format(number, "f")
            numbers = (Number(int(answer.startswith("-")), len(answer), Role.QUANTITY),)
        return Problem(
            prompt=f"{question}\n",
            answer=answer,
            truth=answer,
            level=min(max(steps, 1), 8),
            key=question_key(question),
            prompt_numbers=NumbersOf(question),
            answer_numbers=numbers,
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the final number is right. A response may be the number alone or a whole solution."""
        return {"exact_match": float(final_number(response) == final_number(problem.truth))}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The final number."""
        return final_words(response)

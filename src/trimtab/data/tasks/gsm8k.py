"""GSM8K in its own format: grade-school mathematics with worked solutions."""

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
_HOW = (
    "GSM8K is at github.com/openai/grade-school-math (MIT licence), in grade_school_math/data/train.jsonl and test.jsonl: "
    'an object a line, {"question": ..., "answer": ...}, whose answer ends in `#### ` and the final number'
)


class GSM8K(FileTask):
    """Problems of GSM8K (Cobbe et al. 2021, *Training Verifiers to Solve Math Word Problems*) from its own files.

    A prompt is the question and a line break. The answer is the final number, or (`solution`) the worked solution, which
    ends in `#### ` and that number; a row whose number is not plain (`gold_number`) is a bad row. A solution's calculator
    annotations, `<<3*4=12>>`, are kept or taken out. The number is written without its commas when it stands alone. A
    problem's level is the number of annotations of its solution, from 1 to 8: the steps of calculation. `exact_match` is 1
    when the response's final number (`final_number`) equals the right one.
    """

    name = "gsm8k"

    def __init__(
        self,
        *,
        path: Annotated[
            str | None,
            Field(
                description="the JSONL file of the problems, or of the training problems where `validation_path` names others",
                json_schema_extra=FILE_PATH,
            ),
        ] = None,
        validation_path: ValidationPath = None,
        solution: Annotated[
            bool, Field(description="true trains on the worked solution, false on the final number alone")
        ] = False,
        annotations: Annotated[
            bool, Field(description="keep the calculator annotations, <<3*4=12>>, in the solutions")
        ] = False,
        line_break: Annotated[
            str,
            Field(
                min_length=1,
                description="what a line break of a solution becomes; text of one line where answers end at a newline",
            ),
        ] = "\n",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        if path is None:
            raise ConfigError(f"data.task.path: the task gsm8k needs its file. {_HOW}.")
        super().__init__(*json_lines_sources(path, validation_path), on_bad_row)
        self.solution, self.annotations, self.line_break = solution, annotations, line_break

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """A config without a file is refused before a run begins."""
        if parameters["path"] is None:
            raise ValueError(f"`path` is not given. {_HOW}. Set `data.task.path` to the file")

    @property
    def described(self) -> Mapping[str, Any]:
        """The parameters beside the files."""
        return {"solution": self.solution, "annotations": self.annotations, "line_break": self.line_break}

    def problem(self, values: Mapping[str, Any]) -> Problem:
        """The problem of a row of GSM8K. Raises `BadRowError` where it is none."""
        question, written = text_of(values, "question"), text_of(values, "answer").replace("\r\n", "\n")
        work, mark, final = written.partition(MARK)
        final = final.strip()
        if MARK in final:
            raise BadRowError(
                f"its answer has `{MARK}` more than once, so that it is not clear which number is the answer"
            )
        number = gold_number(f"{MARK} {final}") if mark else None
        if number is None:
            ends = shortened(printable(f"{mark} {final}" if mark else written[-40:]), 60)
            raise BadRowError(
                f"its answer must end in `{MARK} ` and one plain number, and ends in {ends!r}; fractions, times, units, "
                "spaces between digits and markup are not read"
            )
        steps = len(_ANNOTATION.findall(work))
        if self.solution:
            work = work.rstrip() if self.annotations else _ANNOTATION.sub("", work).rstrip()
            answer = f"{work}\n{MARK} {final}".lstrip("\n").replace("\n", self.line_break)
            if final_number(answer) != number:
                raise BadRowError(
                    "with this `line_break`, the number that its solution ends in is not the first after a mark"
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
        """`exact_match` of the final numbers; a response may be the number alone or a whole solution."""
        return {"exact_match": float(final_number(response) == final_number(problem.truth))}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The final number."""
        return final_words(response)

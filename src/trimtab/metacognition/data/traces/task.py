"""The task `traces`: questions with the reasoning that leads to their answers, from published data."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.problem import Problem
from trimtab.data.tasks.files import FileTask, LeftOutRowError, OnBadRow, Row, question_key
from trimtab.data.tasks.files.keyed_rows import matches, normalised
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.traces.answers import boxed, plain, same_answer
from trimtab.metacognition.data.traces.schemas import Schema, Trace, trace
from trimtab.metacognition.data.traces.shards import local_shards

TracesPath = Annotated[
    str,
    Field(
        min_length=1,
        description="file of traces (.jsonl, .json, .parquet), or a folder of such files",
        json_schema_extra=FILE_PATH,
    ),
]


class Traces(FileTask):
    """Published traces in three schemas, one row per question; each row becomes a problem with a thought.

    - *glaive* (glaive reasoning-v1): `prompt` and `response`.
    - *openr1* (OpenR1-Math): `problem`, `answer`, and `generations`, of which the first is used that `correctness_math_verify`
      says is right and that is finished (`finish_reasons`, or `is_reasoning_complete` where that is null).
    - *openthoughts* (OpenThoughts): `system` and `conversations` with one question and one response.

    A response begins with one thought, between `<think>` and `</think>` or `<|begin_of_thought|>` and `<|end_of_thought|>`; the
    answer follows. Other sound rows are left out and counted by what is wrong: `no_thought`, `no_opener`, `several_openers`,
    `several_closers`, `no_closer`, `no_answer`, `not_verified`, `several_turns`.
    """

    name = "traces"

    def __init__(
        self,
        *,
        path: TracesPath,
        validation_path: Annotated[
            str | None,
            Field(
                description="file or folder of the validation problems; null splits `path` by the hashes of the questions",
                json_schema_extra=FILE_PATH,
            ),
        ] = None,
        row_schema: Annotated[
            Schema, Field(description="the schema of the rows; `auto` finds it from the keys of each row")
        ] = "auto",
        no_closer: Annotated[
            Literal["drop", "cut"],
            Field(
                description="whether a thought that nothing closes is left out, or trained on as a thought that was cut, without "
                "an answer; it never validates"
            ),
        ] = "drop",
        system: Annotated[bool, Field(description="whether a system message stands before the question")] = False,
        line_break: Annotated[
            str,
            Field(
                min_length=1,
                description="replacement for the line breaks of a thought and an answer; required where a newline ends an answer",
            ),
        ] = "\n",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        train = partial(_rows, path, "data.task.path")
        validation = None if validation_path is None else partial(_rows, validation_path, "data.task.validation_path")
        super().__init__(train, validation, on_bad_row)
        self.row_schema, self.no_closer, self.system, self.line_break = row_schema, no_closer, system, line_break

    @property
    def parameters(self) -> Mapping[str, Any]:
        """See `FileTask.parameters`."""
        return {
            "version": 1,
            "row_schema": self.row_schema,
            "no_closer": self.no_closer,
            "system": self.system,
            "line_break": self.line_break,
        }

    def problem(self, values: Mapping[str, Any]) -> ThoughtProblem:
        """See `FileTask.problem`."""
        one = trace(values, self.row_schema, system=self.system, keep_open=self.no_closer == "cut")
        final = _final(one)
        if one.closed and not plain(final):
            raise LeftOutRowError("no_answer", "its final answer is empty")
        return ThoughtProblem(
            prompt=f"{one.prompt}\n",
            answer=self._lines(one.answer),
            truth=self._lines(final),
            key=question_key(one.prompt),
            provenance={"schema": one.schema, "mathematical": one.final is not None or boxed(one.answer) is not None},
            thought=self._lines(one.thought),
            closed=one.closed,
        )

    def _lines(self, text: str) -> str:
        return text.replace("\r\n", "\n").replace("\n", self.line_break)

    def content(self, problem: Problem) -> tuple[Any, ...]:
        """See `FileTask.content`."""
        assert isinstance(problem, ThoughtProblem)
        return (*super().content(problem), problem.thought, problem.closed)

    def validates(self, problem: Problem) -> bool:
        """Whether the answer is known: a thought that nothing closes has none."""
        assert isinstance(problem, ThoughtProblem)
        return problem.closed

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the final answer is right.

        A response's final answer is what is in its last `\\boxed{...}`, or the whole of it. Where the row has a final answer of
        its own or a box, the two are compared as mathematics (see `same_answer`), otherwise as normalised text.
        """
        if not problem.truth:
            return {"exact_match": 0.0}
        inside = boxed(response)
        if problem.provenance.get("mathematical"):
            right = same_answer(response if inside is None else inside, problem.truth)
        else:
            right = matches("normalised", response, [problem.truth])
        return {"exact_match": float(right)}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The final answer in the form that `score` compares."""
        if problem.provenance.get("mathematical"):
            inside = boxed(response)
            return plain(response if inside is None else inside)
        return normalised(response)


def _final(one: Trace) -> str:
    """The right final answer: that of the row, what is in the box of the answer, or the whole answer."""
    if one.final is not None:
        return one.final
    inside = boxed(one.answer)
    return inside or one.answer


def _rows(path: str, key: str) -> Iterator[Row]:
    for shard in local_shards(path, key):
        yield from shard.rows()

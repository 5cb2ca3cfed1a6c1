"""The task `traces`: questions with the reasoning that leads to their answers, from published data."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.files import BadRowError, FileTask, LeftOutRowError, OnBadRow, Row, question_key
from trimtab.data.tasks.files.keyed_rows import matches, normalised
from trimtab.data.tasks.generated import is_validation
from trimtab.errors import ConfigError, DataError
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.traces.answers import boxed, plain, same_answer
from trimtab.metacognition.data.traces.blocks import Blocks, Stream
from trimtab.metacognition.data.traces.hub_files import check_source, hub_shards
from trimtab.metacognition.data.traces.schemas import Schema, Trace, trace
from trimtab.metacognition.data.traces.shards import Shard, local_shards

TracesPath = Annotated[
    str | None,
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

    With `streaming` rows are read in blocks of `buffer` rows during the run (see `Stream`). The first `data.validation` problems
    whose hashes say so validate, and their questions are never trained on.
    """

    name = "traces"

    def __init__(
        self,
        *,
        path: TracesPath = None,
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
        dataset: Annotated[
            str | None, Field(description="id of a data set on the Hugging Face hub, instead of a path")
        ] = None,
        subset: Annotated[str | None, Field(description="configuration of the data set, if it has several")] = None,
        revision: Annotated[
            str | None, Field(description="commit, branch or tag of the data set on the hub; null is the newest")
        ] = None,
        train_split: Annotated[str, Field(min_length=1, description="split of the data set on the hub")] = "train",
        allow_hub: Annotated[bool, Field(description="whether the data set may be read from the hub")] = False,
        streaming: Annotated[
            bool, Field(description="whether rows are read during the run, block by block, instead of all at its start")
        ] = False,
        buffer: Annotated[
            int, Field(ge=1, description="with streaming, the rows of a block, which are shuffled together")
        ] = 2048,
    ) -> None:
        try:
            check_source(path, dataset, allow_hub)
        except ValueError as error:
            raise ConfigError(f"data.task: {error}.") from error
        self._source = (
            partial(local_shards, str(path), "data.task.path")
            if dataset is None
            else partial(hub_shards, dataset, subset, revision, train_split)
        )
        validation = (
            None
            if validation_path is None
            else partial(_rows, partial(local_shards, validation_path, "data.task.validation_path"))
        )
        super().__init__(partial(_rows, self._source), validation, on_bad_row)
        self.streaming, self.buffer = streaming, buffer
        self.row_schema, self.no_closer, self.system, self.line_break = row_schema, no_closer, system, line_break

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for a source that cannot be read, and for a file of validation problems with streaming."""
        check_source(parameters["path"], parameters["dataset"], parameters["allow_hub"])
        if parameters["streaming"] and parameters["validation_path"] is not None:
            raise ValueError(
                "with `streaming`, the first `data.validation` problems by the hashes of their questions validate; leave out "
                "`validation_path`"
            )

    @cached_property
    def shards(self) -> list[Shard]:
        """The files of the training rows."""
        return self._source()

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """See `FileTask.identity`. With streaming, the content of the files and the size of a block count instead of the rows."""
        if not self.streaming:
            return super().identity
        return {**self.parameters, "buffer": self.buffer, "files": [shard.sha256() for shard in self.shards]}

    def split(self, split: Split, count: int | None, seed: int) -> list[Problem]:
        """See `FileTask.split`. With streaming, the first `count` validation problems by hash.

        Raises `DataError` for a streamed split without a count, and for one of training problems (see `stream`).
        """
        if not self.streaming:
            return super().split(split, count, seed)
        if split == "train":
            raise DataError(
                "A streamed task has no list of training problems. Use `data: {name: thinking, ...}`, which reads them in turn."
            )
        if count is None:
            raise DataError(
                "`data.validation` must be set with `data.task.streaming`: the number of problems that validate."
            )
        return self._first_by_hash(count)

    def stream(self, validation: Iterable[Problem]) -> Stream:
        """The training problems: all rows but those with the questions of some `validation` problems."""
        return Stream(self._blocks(frozenset(problem.question for problem in validation)))

    def _blocks(self, excluded: frozenset[str]) -> Blocks:
        return Blocks(self.shards, self.buffer, self._problem_of, excluded=excluded)

    def _problem_of(self, row: Row) -> ThoughtProblem:
        """The problem of a row, as `FileTask` treats bad rows."""
        try:
            if isinstance(row.values, BadRowError):
                raise row.values
            return self.problem(row.values)
        except BadRowError as error:
            if self._on_bad_row == "error" and not isinstance(error, LeftOutRowError):
                raise DataError(
                    f"{row.where}: {error}. Correct the row, or leave such rows out with `data.task.on_bad_row: skip`."
                ) from error
            raise

    def _first_by_hash(self, count: int) -> list[Problem]:
        """The first problems whose questions are for validation by their hashes, without repetitions."""
        found: dict[str, Problem] = {}
        blocks = self._blocks(frozenset())
        index = 0
        while blocks.reaches(index * self.buffer):
            for problem in blocks.block(index).problems:
                if problem.closed and is_validation(problem.question):
                    found.setdefault(problem.question, problem)
                    if len(found) == count:
                        return list(found.values())
            index += 1
        raise DataError(
            f"`data.validation` is {count:,}, but only {len(found):,} problems of the traces are for validation, a fifth of the "
            "questions. Set at most that many."
        )

    @property
    def skipped(self) -> tuple[str, ...]:
        """See `FileTask.skipped`; nothing with streaming, where `left_out` counts."""
        return () if self.streaming else super().skipped

    @property
    def left_out(self) -> Mapping[str, int]:
        """See `FileTask.left_out`; with streaming, of the first block."""
        return self._blocks(frozenset()).block(0).left_out if self.streaming else super().left_out

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


def _rows(source: Callable[[], list[Shard]]) -> Iterator[Row]:
    for shard in source():
        yield from shard.rows()

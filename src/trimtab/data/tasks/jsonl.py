"""Prompts and answers from anybody's JSONL file."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.problem import Problem
from trimtab.data.tasks.files import FileTask, OnBadRow, json_lines
from trimtab.data.tasks.jsonl_rows import (
    AcceptedKey,
    AnswerKey,
    LevelKey,
    Match,
    OptionsKey,
    ProbabilitiesKey,
    PromptKey,
    RowReader,
    UncertaintyKey,
)


class JsonLines(FileTask):
    """A JSON object a line, with a prompt and an answer under keys of your choice.

    An answer is text or a number, or a list of them: all are accepted and the first is trained on. Prompts are followed by a
    line break. Raises (when the data is built) `DataError` with file and line for a bad row: no valid JSON, no object, a key
    missing, of the wrong type or empty, a number that is too large, no valid UTF-8, a lone surrogate.
    """

    name = "jsonl"

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(
                min_length=1,
                description="the JSONL file of the problems, or of the training problems where `validation_path` names others",
                json_schema_extra=FILE_PATH,
            ),
        ],
        validation_path: Annotated[
            str | None,
            Field(
                description="the JSONL file of the validation problems; null splits `path` by the questions' hashes",
                json_schema_extra=FILE_PATH,
            ),
        ] = None,
        prompt_key: PromptKey = "prompt",
        answer_key: AnswerKey = "answer",
        accepted_key: AcceptedKey = None,
        uncertainty_key: UncertaintyKey = None,
        options_key: OptionsKey = None,
        probabilities_key: ProbabilitiesKey = None,
        level_key: LevelKey = None,
        match: Match = "normalised",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        source = partial(json_lines, path, key="data.task.path")
        held = (
            None if validation_path is None else partial(json_lines, validation_path, key="data.task.validation_path")
        )
        super().__init__(source, held, on_bad_row)
        self.reader = RowReader(
            prompt_key=prompt_key,
            answer_key=answer_key,
            match=match,
            accepted_key=accepted_key,
            uncertainty_key=uncertainty_key,
            options_key=options_key,
            probabilities_key=probabilities_key,
            level_key=level_key,
        )

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Keys that do not fit together are refused before a run begins."""
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
        return self.reader.score(problem, response)

    def final_answer(self, problem: Problem, response: str) -> str:
        """The response as `match` compares it."""
        return self.reader.final_answer(response)

"""Prompts and answers from anybody's JSONL file."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import FileTask, OnBadRow, json_lines
from trimtab.data.tasks.jsonl_rows import Match, RowReader, matches
from trimtab.data.tasks.problem import Problem


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
        prompt_key: Annotated[str, Field(min_length=1, description="the key of the prompt")] = "prompt",
        answer_key: Annotated[
            str, Field(min_length=1, description="the key of the answer, or of a list of accepted ones")
        ] = "answer",
        accepted_key: Annotated[
            str | None, Field(description="the key of further accepted answers; a row may lack it")
        ] = None,
        uncertainty_key: Annotated[
            str | None, Field(description="the key of a number from 0 to 1: how uncertain the answer is")
        ] = None,
        options_key: Annotated[str | None, Field(description="the key of the list of possible answers")] = None,
        probabilities_key: Annotated[
            str | None, Field(description="the key of the options' probabilities, a list that adds up to 1")
        ] = None,
        level_key: Annotated[
            str | None, Field(description="the key of a whole number, the level of difficulty; null: all 1")
        ] = None,
        match: Annotated[
            Match,
            Field(
                description="how answers are compared: as they stand, as SQuAD normalises them, or by the final number"
            ),
        ] = "normalised",
        on_bad_row: Annotated[
            OnBadRow, Field(description="a row that is no problem is an error, or is skipped, counted and named")
        ] = "error",
    ) -> None:
        source = partial(json_lines, path, key="data.task.path")
        held = (
            None if validation_path is None else partial(json_lines, validation_path, key="data.task.validation_path")
        )
        super().__init__(source, held, on_bad_row)
        self.check({"options_key": options_key, "probabilities_key": probabilities_key})
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
        """Probabilities without options say nothing."""
        if parameters["probabilities_key"] is not None and parameters["options_key"] is None:
            raise ValueError(
                "`probabilities_key` needs `options_key`, the list of answers that they are the probabilities of"
            )

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

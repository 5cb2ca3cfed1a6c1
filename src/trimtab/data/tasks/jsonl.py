"""Prompts and answers from anybody's JSONL file."""

from typing import Annotated

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import OnBadRow, ValidationPath, json_lines_sources
from trimtab.data.tasks.files.keyed_rows import (
    AcceptedKey,
    AnswerKey,
    KeyedRowTask,
    LevelKey,
    Match,
    OptionsKey,
    ProbabilitiesKey,
    PromptKey,
    RowReader,
    UncertaintyKey,
)


class JsonLines(KeyedRowTask):
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
        validation_path: ValidationPath = None,
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
        reader = RowReader(
            prompt_key=prompt_key,
            answer_key=answer_key,
            match=match,
            accepted_key=accepted_key,
            uncertainty_key=uncertainty_key,
            options_key=options_key,
            probabilities_key=probabilities_key,
            level_key=level_key,
        )
        super().__init__(*json_lines_sources(path, validation_path), on_bad_row, reader)

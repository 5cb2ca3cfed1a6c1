"""The task `jsonl`: prompts and answers from a JSONL file."""

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
    """One JSON object per line, with a prompt and an answer under configurable keys.

    An answer is text, a number, or a list of these; all items of a list are accepted, and the first is the label. Each prompt is
    followed by a line break. Building the data raises `DataError` with file and line for a bad row: invalid JSON, not an object,
    a key that is missing, of the wrong type or empty, a number that is too large, invalid UTF-8, or a lone surrogate.
    """

    name = "jsonl"

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(
                min_length=1,
                description="JSONL file of the problems; with `validation_path`, of the training problems only",
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

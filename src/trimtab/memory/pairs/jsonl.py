"""Questions and answers from any JSONL file, and from that of Natural Questions."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import json_lines, value_of
from trimtab.memory.pairs.pair import LoadedPairs, Pair
from trimtab.memory.pairs.reading import OnBadRow, pair_text, pair_texts, plain_pair, read_pairs, row_id


class JsonLines:
    """Questions and answers from a JSONL file, one JSON object per line, under keys of your choice.

    An answer is a text, a number, or a list of these: the first is the target, all are accepted. The id of a row without one is
    a hash of its question.
    """

    name = "jsonl"

    def __init__(
        self,
        *,
        path: Annotated[
            str, Field(min_length=1, description="the JSONL file of the pairs", json_schema_extra=FILE_PATH)
        ],
        question_key: Annotated[
            str, Field(min_length=1, description="the key of the question; `a.b` is a nested key")
        ] = "question",
        answer_key: Annotated[
            str, Field(min_length=1, description="the key of the answer, or of a list of accepted ones")
        ] = "answer",
        id_key: Annotated[str, Field(min_length=1, description="the key of a pair's id; optional in a row")] = "id",
        exact: Annotated[
            bool,
            Field(
                description="whether every character counts, as in sums and grids; if false, texts are compared normalised"
            ),
        ] = False,
        on_bad_row: OnBadRow = "error",
    ) -> None:
        self.path, self.on_bad_row, self.exact = path, on_bad_row, exact
        self.question_key, self.answer_key, self.id_key = question_key, answer_key, id_key

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`."""
        rows = json_lines(self.path, key="pairs.path")
        return read_pairs(self.name, rows, self._pair, on_bad_row=self.on_bad_row, count=count, seed=seed)

    def _pair(self, values: Mapping[str, Any]) -> Pair:
        question = pair_text(value_of(values, self.question_key), repr(self.question_key), numbers=True)
        answers = pair_texts(value_of(values, self.answer_key), repr(self.answer_key))
        name = row_id(values, self.id_key) if self.id_key in values else None
        return plain_pair(question, answers, name=name, exact=self.exact)


class NaturalQuestions(JsonLines):
    """Questions of Natural Questions, open version (Lee et al. 2019), from the official JSONL.

    One object per line, `{"question": ..., "answer": [...]}`. The first answer is the target, all are accepted.
    """

    name = "nq_open"

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(
                min_length=1,
                description="the JSONL file (google-research-datasets/natural-questions, nq_open: NQ-open.dev.jsonl)",
                json_schema_extra=FILE_PATH,
            ),
        ],
        on_bad_row: OnBadRow = "error",
    ) -> None:
        super().__init__(path=path, on_bad_row=on_bad_row)

"""SQuAD in its own format: questions on passages of Wikipedia, some of them unanswerable."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.boundary import json_type_name
from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import BadRowError, Row, value_of
from trimtab.memory.pairs.json_file import json_list, objects_under
from trimtab.memory.pairs.pair import LoadedPairs, Pair
from trimtab.memory.pairs.reading import (
    EmptyPairError,
    LeftOutError,
    OnBadRow,
    pair_text,
    plain_pair,
    read_pairs,
    row_id,
)

_EXPECTED = (
    "SQuAD's JSON file (rajpurkar.github.io/SQuAD-explorer: train-v2.0.json, dev-v2.0.json or one of version 1.1)"
)
_UNANSWERABLE = "marked as unanswerable; set `pairs.unanswerable` to target to use such questions"


class Squad:
    """Questions and answers of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018) from the official nested JSON.

    The answer is the first annotator's; all distinct ones are accepted. Unanswerable questions are left out and counted, or get
    the answer `no_answer`. The passage is not part of a pair. Of duplicate questions, the one with the smaller id is kept.
    """

    name = "squad"

    def __init__(
        self,
        *,
        path: Annotated[
            str, Field(min_length=1, description="SQuAD's JSON file, version 1.1 or 2.0", json_schema_extra=FILE_PATH)
        ],
        unanswerable: Annotated[
            Literal["skip", "target"],
            Field(description="whether unanswerable questions are left out and counted, or get the answer `no_answer`"),
        ] = "skip",
        no_answer: Annotated[
            str, Field(min_length=1, pattern=r"\S", description="the answer to an unanswerable question")
        ] = "no answer",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        self.path, self.unanswerable, self.no_answer, self.on_bad_row = path, unanswerable, no_answer, on_bad_row

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`."""
        return read_pairs(self.name, self._rows(), self._pair, on_bad_row=self.on_bad_row, count=count, seed=seed)

    def _rows(self) -> Iterator[Row]:
        """The rows of the questions, with the title of their article added."""
        for article in json_list(self.path, "data", _EXPECTED):
            titled = partial(_titled, article.values.get("title") if isinstance(article.values, Mapping) else None)
            for paragraph in objects_under(article, "paragraphs"):
                yield from map(titled, objects_under(paragraph, "qas"))

    def _pair(self, values: Mapping[str, Any]) -> Pair:
        question, name = pair_text(value_of(values, "question"), "the question"), row_id(values, "id")
        impossible = values.get("is_impossible", False)
        if not isinstance(impossible, bool):
            raise BadRowError(f"'is_impossible' is {json_type_name(impossible)} where true or false is needed")
        if impossible and self.unanswerable == "skip":
            raise LeftOutError(_UNANSWERABLE)
        answers = (self.no_answer,) if impossible else _answers(value_of(values, "answers"))
        title = {"title": values["title"]} if isinstance(values.get("title"), str) else {}
        return plain_pair(question, answers, {**title, "unanswerable": impossible}, name)


def _titled(title: Any, row: Row) -> Row:
    return Row(row.where, row.values if isinstance(row.values, BadRowError) else {**row.values, "title": title})


def _answers(answers: Any) -> tuple[str, ...]:
    if not isinstance(answers, list):
        raise BadRowError(f"'answers' is {json_type_name(answers)} where a list is needed")
    texts: dict[str, None] = {}
    for index, answer in enumerate(answers):
        if not isinstance(answer, dict):
            raise BadRowError(f"answers[{index}] is {json_type_name(answer)} where an object with 'text' is needed")
        text = value_of(answer, "text")
        if not (isinstance(text, str) and not text.strip()):
            texts[pair_text(text, f"answers[{index}].text")] = None
    if not texts:
        raise EmptyPairError("it has no answer that is not empty" if answers else "it has no answer")
    return tuple(texts)

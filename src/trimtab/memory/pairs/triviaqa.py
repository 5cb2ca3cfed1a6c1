"""TriviaQA in its own format: quiz questions, each with many aliases of its answer."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from trimtab.boundary import json_type_name
from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import BadRowError, value_of
from trimtab.memory.pairs.json_file import json_list
from trimtab.memory.pairs.pair import LoadedPairs, Pair
from trimtab.memory.pairs.reading import OnBadRow, pair_text, plain_pair, read_pairs, row_id

_EXPECTED = "one of TriviaQA's JSON files with answers (nlp.cs.washington.edu/triviaqa, such as qa/wikipedia-dev.json)"


class TriviaQA:
    """Questions and answers of TriviaQA (Joshi et al. 2017) from the official JSON.

    The answer is `Answer.Value`; its `Aliases` and `NormalizedAliases` are accepted too. Evidence is not read.
    """

    name = "triviaqa"

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(min_length=1, description="one of TriviaQA's JSON files, with answers", json_schema_extra=FILE_PATH),
        ],
        on_bad_row: OnBadRow = "error",
    ) -> None:
        self.path, self.on_bad_row = path, on_bad_row

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`."""
        rows = json_list(self.path, "Data", _EXPECTED)
        return read_pairs(self.name, rows, _pair, on_bad_row=self.on_bad_row, count=count, seed=seed)


def _pair(values: Mapping[str, Any]) -> Pair:
    question, name = pair_text(value_of(values, "Question"), "the question"), row_id(values, "QuestionId")
    answer = value_of(values, "Answer")
    if not isinstance(answer, Mapping):
        raise BadRowError(f"'Answer' is {json_type_name(answer)} where an object with 'Value' is needed")
    texts = {pair_text(value_of(answer, "Value"), "Answer.Value"): None}
    for key in ("Aliases", "NormalizedAliases"):
        others = answer.get(key, [])
        if not isinstance(others, list):
            raise BadRowError(f"Answer.{key} is {json_type_name(others)} where a list is needed")
        for index, other in enumerate(others):
            if not (isinstance(other, str) and not other.strip()):
                texts[pair_text(other, f"Answer.{key}[{index}]")] = None
    metadata = {"type": answer["Type"]} if isinstance(answer.get("Type"), str) else {}
    return plain_pair(question, tuple(texts), metadata, name)

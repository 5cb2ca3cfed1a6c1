"""HotpotQA in its own format: questions that need two facts."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import value_of
from trimtab.memory.pairs.json_file import json_list
from trimtab.memory.pairs.pair import LoadedPairs, Pair
from trimtab.memory.pairs.reading import OnBadRow, pair_text, plain_pair, read_pairs, row_id

_EXPECTED = "one of HotpotQA's JSON files with answers (hotpotqa.github.io, such as hotpot_dev_distractor_v1.json)"


class HotpotQA:
    """Questions and answers of HotpotQA (Yang et al. 2018) from the official JSON.

    Passages and supporting facts are not part of a pair; its `type` and `level` are kept in `metadata`.
    """

    name = "hotpotqa"

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(min_length=1, description="one of HotpotQA's JSON files, with answers", json_schema_extra=FILE_PATH),
        ],
        on_bad_row: OnBadRow = "error",
    ) -> None:
        self.path, self.on_bad_row = path, on_bad_row

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`."""
        rows = json_list(self.path, None, _EXPECTED)
        return read_pairs(self.name, rows, _pair, on_bad_row=self.on_bad_row, count=count, seed=seed)


def _pair(values: Mapping[str, Any]) -> Pair:
    question, name = pair_text(value_of(values, "question"), "the question"), row_id(values, "_id")
    answer = pair_text(value_of(values, "answer"), "the answer")
    metadata = {key: values[key] for key in ("type", "level") if isinstance(values.get(key), str)}
    return plain_pair(question, (answer,), metadata, name)

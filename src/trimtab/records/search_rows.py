"""The rows of a search's `events.jsonl`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.records.rows import Number, Row

Count = Annotated[int, Field(ge=0)]


class _Chained(Row):
    """`clock` is the time of the virtual clock, in planned steps. `check` is a hash of this row and of all rows before it."""

    kind: str
    reason: str
    clock: Number
    check: str


class TrialRow(_Chained):
    """Work was given out: the run of a trial with a seed, from step `start` to step `end` (null: to its last step).

    `parent` is the trial that it is forked from at `start`. `same_as` is the number of earlier work with the same run, which
    is not made again.
    """

    kind: Literal["trial"]
    work: Count
    trial: Count
    seed: Count
    start: Count
    end: Count | None
    parent: Count | None
    same_as: Count | None
    settings: dict[str, Any]


class ResultRow(_Chained):
    """The value of some work. `steps` and `tokens` are those of this work alone, its probe included.

    `run_tokens` are all tokens that the run has read; `weights_sha256` is the hash of its weights.
    """

    kind: Literal["result"]
    work: Count
    trial: Count
    status: str
    value: Number
    steps: Count
    tokens: Count
    run_tokens: Count
    weights_sha256: str | None


class ConfirmationRow(_Chained):
    """The best settings, trained with a seed that the search has not used."""

    kind: Literal["confirmation"]
    trial: Count
    seed: Count
    status: str
    value: Number
    steps: Count
    tokens: Count
    run_tokens: Count
    weights_sha256: str | None


class SearchMetric(Row):
    """The metric that a search improves, as its manifest names it."""

    name: str
    higher_is_better: bool


class SearchRow(Row):
    """A row of a search's `events.jsonl`."""

    @classmethod
    def schema_of(cls, row: dict[str, Any]) -> type[Row]:
        """The schema for the row's kind; a row of another kind fits none."""
        kinds: dict[Any, type[Row]] = {"trial": TrialRow, "result": ResultRow, "confirmation": ConfirmationRow}
        return kinds.get(row.get("kind"), TrialRow)

"""The rows of a thinking run's tables of outcomes."""

from typing import Annotated

from pydantic import Field

from trimtab.records.rows import Number, Row

Count = Annotated[int, Field(ge=0)]


class OutcomeRow(Row):
    """What happens to a problem under every cap on its thought.

    `used` are the tokens of the free thought, and `ended` says whether it ended by itself. `right` has a value for each cap, and
    so have `confidence_by_cap` and `use_by_cap`, which the model predicted; `gate_norm` is the root mean square of γ - 1.
    """

    item: Count
    level: int
    plan: int | None
    prompt_tokens: Count
    thought: str
    used: Count
    ended: bool
    right: list[bool]
    confidence_by_cap: list[Number]
    use_by_cap: list[Number]
    predicted_plan: Count
    alpha: list[Number]
    gate_norm: Number | None = None

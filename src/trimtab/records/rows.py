"""The schema of each file of rows: which keys hold numbers, texts or figures, checked when a row is read."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from trimtab.records.values import is_number, numbers_in


def _number(value: Any) -> Any:
    number = numbers_in(value) if isinstance(value, str) else value
    if not is_number(number):
        raise PydanticCustomError("float_type", "expected a number")
    return number


Number = Annotated[float, PlainValidator(_number)]
"""A number, "nan", "inf" or "-inf"."""

Figures = Annotated[dict[str, Any], AfterValidator(numbers_in)]
"""An object of numbers, lists of numbers and further such objects."""

Measured = Annotated[Any, AfterValidator(numbers_in)]
"""A number, or a list or an object of such values."""

Position = Annotated[int, Field(ge=0, lt=1 << 63)]


class Row(BaseModel):
    """A row. The values of keys that a schema does not name are not converted: a "nan" under such a key stays a text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", defer_build=True)

    @classmethod
    def schema_of(cls, row: dict[str, Any]) -> type["Row"]:
        """The schema of this row, where a file has rows of several kinds."""
        del row
        return cls

    @classmethod
    def values(cls, row: dict[str, Any]) -> dict[str, Any]:
        """A row of plain JSON with its numbers as numbers. Raises pydantic's `ValidationError` for a row of another shape."""
        return _values(row, cls.schema_of(row).model_validate(row))


def _values(row: dict[str, Any], model: BaseModel) -> dict[str, Any]:
    known = model.__dict__ | (model.__pydantic_extra__ or {})
    return {key: _values(row[key], known[key]) if isinstance(known[key], BaseModel) else known[key] for key in row}


class StepRow(Row):
    """A row of `steps.jsonl`; numbers may be missing or null. `observers` holds what observers returned, by their name."""

    step: Position
    attempt: Position = 0
    train_loss: Number | None = None
    lr: Number | None = None
    grad_norm: Number | None = None
    tokens: Number | None = None
    seconds: Number | None = None
    loss_ema: Number | None = None
    loss_volatility: Number | None = None
    loss_volatility_medium: Number | None = None
    loss_z: Number | None = None
    grad_norm_ema: Number | None = None
    grad_norm_z: Number | None = None
    grad_share_over: Number | None = None
    param_update_norm: Number | None = None
    update_ratio: Number | None = None
    layer_update_ratios: Figures = Field(default_factory=dict)
    val_loss: Number | None = None
    best_val_loss: Number | None = None
    skipped: bool = False
    regime: str | None = None
    anomaly_flags: list[str] = Field(default_factory=list)
    faults: list[str] = Field(default_factory=list)
    aux: Figures = Field(default_factory=dict)
    rss_mb: Number | None = None
    activation_stats: Figures = Field(default_factory=dict)
    instruments: Figures = Field(default_factory=dict)
    observers: dict[str, Any] = Field(default_factory=dict)


class Sample(Row):
    """A text that the model wrote, and figures of all of the texts."""

    prompt: str
    text: str
    figures: Figures = Field(default_factory=dict)


class Divergence(Row):
    """A figure of a task evaluation."""

    __pydantic_extra__: dict[str, Measured]
    value: Number


class Truth(Row):
    """How far the model is from the true distribution over the answers."""

    __pydantic_extra__: dict[str, Measured]
    kl: Divergence


class TaskEvalFigures(Row):
    """The figures of a task evaluation."""

    __pydantic_extra__: dict[str, Measured]
    problems: int
    exact_match: Number
    answer_loss: Number
    truth: Truth | None = None


class EvaluationRow(Row):
    """A row of `evaluations.jsonl`; keys that it does not name are figures."""

    __pydantic_extra__: dict[str, Measured]
    step: Position
    attempt: Position = 0
    sample: Sample | None = None
    task_eval: TaskEvalFigures | None = None


class PredictionRow(Row):
    """A row of `predictions.jsonl`: the model's answer to one problem of a task evaluation.

    Where the exact distribution over the answers is known (`true_probabilities` of the `options`), an `outcome` was drawn from
    it, and `hit` says whether the response names that.
    """

    item: int
    prompt: str = ""
    answer: Any = None
    response: Any = None
    correct: bool
    outcome: Any = None
    hit: bool | None = None
    confidence: Number | None
    answer_loss: Number | None = None
    agreement: Number | None = None
    options: list[Any] | None = None
    option_probabilities: Annotated[list[Any], AfterValidator(numbers_in)] | None = None
    true_probabilities: Annotated[list[Any], AfterValidator(numbers_in)] | None = None


class ResumeDetails(Row):
    """What a `resume` event records: how the run was continued."""

    changes: list[str] = Field(default_factory=list)


class EventRow(Row):
    """A row of `events.jsonl`; those of a memory run have no step."""

    kind: str
    reason: str
    step: Position | None = None
    attempt: Position | None = None
    time: str = ""

    @classmethod
    def schema_of(cls, row: dict[str, Any]) -> type[Row]:
        """Events of the kinds `resume` and `skip` say more."""
        kind = row.get("kind")
        return _EVENTS.get(kind, cls) if isinstance(kind, str) else cls


class ResumeRow(EventRow):
    """An event of the kind `resume`; that of a memory run has no `after`."""

    after: ResumeDetails | None = None


class SkipRow(EventRow):
    """An event of the kind `skip`: the loss and the gradient norm that were not used."""

    before: Figures | None = None


_EVENTS: dict[str, type[Row]] = {"resume": ResumeRow, "skip": SkipRow}

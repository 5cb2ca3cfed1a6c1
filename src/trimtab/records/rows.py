"""What a row of each file of records holds at least: checked when it is read, so that no reader has to doubt it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trimtab.errors import RunError
from trimtab.records.problems import problems_of

Position = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Row(BaseModel):
    # Fields that are not named may hold anything that JSON can.
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=True)


class StepRow(_Row):
    """A row of `steps.jsonl`; numbers may be missing or null."""

    step: Position
    attempt: Position = 0
    train_loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tokens: float | None = None
    seconds: float | None = None
    loss_ema: float | None = None
    loss_volatility: float | None = None
    rss_mb: float | None = None
    regime: str | None = None
    faults: list[str] = Field(default_factory=list)


class Sample(_Row):
    """A text that the model wrote."""

    prompt: str
    text: str


class Divergence(_Row):
    """A figure of an exam."""

    value: float


class Truth(_Row):
    """How far the model is from the true distribution over the answers."""

    kl: Divergence


class Exam(_Row):
    """The figures of an exam that are shown."""

    problems: int
    exact_match: float
    answer_loss: float
    truth: Truth | None = None


class EvaluationRow(_Row):
    """A row of `evaluations.jsonl`."""

    step: Position
    attempt: Position = 0
    sample: Sample | None = None
    exam: Exam | None = None


class Going(_Row):
    """What a `resume` event says of how the run went on."""

    changes: list[str] = Field(default_factory=list)


class EventRow(_Row):
    """A row of `events.jsonl`; those of a memory run have no step."""

    kind: str
    reason: str
    step: Position | None = None
    attempt: Position | None = None
    time: str = ""


class ResumeRow(EventRow):
    """An event of the kind `resume`; that of a memory run has no `after`."""

    after: Going | None = None


def check_rows(rows: Iterable[Mapping[str, Any]], kind: type[BaseModel], path: Path) -> None:
    """Raise RunError, with the line, for the first row that is not of the kind."""
    for number, row in enumerate(rows, start=1):
        own = ResumeRow if kind is EventRow and row.get("kind") == "resume" else kind
        try:
            own.model_validate(row)
        except ValidationError as error:
            raise RunError(
                f"{path} is damaged at line {number}: {problems_of(error)}. Restore it from a copy."
            ) from error

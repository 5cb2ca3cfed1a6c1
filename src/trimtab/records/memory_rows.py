"""The schemas of the files that a memory run writes, apart from its measurements of solved memories."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from trimtab.records.rows import Number, Row
from trimtab.records.values import numbers_in

MEMORY_CONFIG = "memory.yaml"
"""The resolved config of a memory run."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

Side = Literal["question", "answer"]
SIDES: tuple[Side, Side] = ("question", "answer")


class Sides(Row):
    """A number for the question and one for the answer; None for a side that was not measured."""

    question: Number | None = None
    answer: Number | None = None

    def of(self, side: str) -> Number | None:
        """The number of one side."""
        return self.question if side == "question" else self.answer

    @property
    def known(self) -> list[float]:
        """The numbers that are not None."""
        return [value for value in (self.question, self.answer) if value is not None]


class PairRow(Row):
    """A row of `pairs.jsonl`."""

    pair: str
    index: int = 0
    question: str
    answer: str
    question_tokens: Count
    answer_tokens: Count


class BaselineRow(Row):
    """A row of `baselines.jsonl`: the losses of a pair's two targets without its memory, in nats per token."""

    pair: str
    random: Sides
    random_token: Sides = Sides()
    context: Sides = Sides()


class Controlled(Sides):
    """The losses of a pair under vectors that are not its memory, and whether greedy decoding still gives the targets."""

    question_exact: bool | None = None
    answer_exact: bool | None = None


class ControlRow(Row):
    """A row of `controls.jsonl`."""

    pair: str
    other: Controlled | None = None
    swapped: Controlled | None = None


class CandidateRow(Row):
    """A row of a stage's `candidates.jsonl`: one restart of one pair, at its end."""

    pair: str
    restart: Count
    status: Literal["solved", "unsolved"]
    steps: Count
    seconds: Number
    lenient_step: int | None = None
    loss: Sides
    margin: Number | None = None
    loss_at_start: Sides = Sides()
    start_converged: bool = False
    start_lenient: bool = False
    curve: Annotated[list[list[Any]], AfterValidator(numbers_in)] = Field(default_factory=list)
    shape: str

    @property
    def solved(self) -> bool:
        """Whether every target token was the most likely one by the margin."""
        return self.status == "solved"


class EngineStepRow(Row):
    """A row of a stage's `steps.jsonl`: one step of the engine, `seconds` long, with `in_flight` candidates in it."""

    step: int
    in_flight: Count
    positions: Count = 0
    seconds: Number


class GateRecord(Row):
    """An entry of `gates.json`."""

    gate: str
    share: Share
    low: Share
    high: Share
    threshold: Share
    passed: bool
    message: str


class GenerationRow(Row):
    """A row of `generation.jsonl`: the text decoded in one mode, and the expected one."""

    pair: str
    side: Side
    precision: str
    solved: bool = True
    expected: str
    decoded: str
    tokens_exact: bool
    normalised: bool
    f1: Number
    verdict: Literal["pass", "partial", "fail"]


class AblationCell(Row):
    """One setting of an ablation."""

    ablation: str
    value: Any
    pairs: Annotated[int, Field(ge=1)]
    solved: Count
    share: Share
    low: Share
    high: Share
    mean_steps: Number | None = None
    mean_loss_ratio: Number | None = None
    seconds: Number | None = None


class AblationsRecord(Row):
    """`ablations.json`."""

    cells: list[AblationCell]
    k_thresholds: dict[str, int | None] = Field(default_factory=dict)


class RobustnessRow(Row):
    """A row of `robustness.jsonl`: whether a disturbed memory passes. A decode decided, or else `lowest`, its smallest margin."""

    pair: str
    margin: Number
    disturbance: str
    level: Number | None = None
    passed: bool
    lowest: Number | None = None
    decoded: bool = False
    draw: int = 0

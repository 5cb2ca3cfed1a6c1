"""What was measured of the memories that were found: leaks, geometry, landscape."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trimtab.records.memory_rows import Tokens
from trimtab.reports.reading import Read


class Estimate(Read):
    """A mean with its 95% interval."""

    mean: float
    low: float | None = None
    high: float | None = None


class PairBits(Read):
    """How many bits one memory holds, and how long what it holds is."""

    pair: str
    bits: float
    question_tokens: Tokens
    answer_tokens: Tokens


class PerVector(Read):
    """Bits a vector."""

    bits_per_vector: float | Estimate | None = None
    vectors: int | None = None
    pairs: list[PairBits] = Field(default_factory=list)


class Leaks(Read):
    """`leaks.json`: by text and by mode, the loss in bits under the memory minus the model's prior."""

    bits: dict[str, dict[str, Estimate]]
    per_vector: PerVector | None = None


Quantiles = Annotated[list[float], Field(min_length=5, max_length=5)]
"""Of 0, ¼, ½, ¾ and 1."""


class Norms(Read):
    """Norms of the memories' vectors and of the vocabulary's embeddings."""

    vectors: Quantiles
    vocabulary: Quantiles


class Nearest(Read):
    """The token of the vocabulary nearest to one vector."""

    pair: str
    vector: int
    token: str
    cosine: float


class Between(Read):
    """How alike memories are, and the vectors within one; `distances` in the order of `order`."""

    same_pair: float | None = None
    other_pair: float | None = None
    within: float | None = None
    distances: list[list[float]] = Field(default_factory=list)
    order: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _square(self) -> Self:
        if any(len(row) != len(self.distances) for row in self.distances) or len(self.order) != len(self.distances):
            raise ValueError("distances should be a square table with a row and a column for every pair of 'order'")
        return self


class Geometry(Read):
    """`geometry.json`."""

    norms: Norms | None = None
    nearest: list[Nearest] = Field(default_factory=list)
    between: Between | None = None


class Line(Read):
    """Losses along a random direction through a memory; offsets as a share of its norm."""

    pair: str
    direction: int | str = 0
    offsets: list[float]
    question: list[float]
    answer: list[float]

    @model_validator(mode="after")
    def _even(self) -> Self:
        if not len(self.offsets) == len(self.question) == len(self.answer):
            raise ValueError("offsets, question and answer should have one length")
        return self


class Plane(Read):
    """Losses in a plane through a memory: `loss[row][column]` at `offsets[row]`, `offsets[column]`."""

    pair: str
    offsets: list[float]
    loss: list[list[float]]

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.offsets)
        if size < 2 or len(self.loss) != size or any(len(row) != size for row in self.loss):
            raise ValueError("loss should be a table with a row and a column for every offset, two at least")
        return self


class Path(Read):
    """Losses on the straight way between two restarts of a pair; positions from 0 to 1."""

    pair: str
    restarts: tuple[int, int]
    positions: list[float]
    loss: list[float]

    @model_validator(mode="after")
    def _even(self) -> Self:
        if len(self.positions) != len(self.loss) or not self.loss:
            raise ValueError("positions and loss should have one length, above 0")
        return self


class Width(Read):
    """The distance, as a share of the memory's norm, at which the loss has risen by `rise`; None where it never does."""

    pair: str
    width: float | None


class Landscape(Read):
    """`landscape.json`; `rise`, in nats a token, is what the loss rises by within a basin's width."""

    lines: list[Line] = Field(default_factory=list)
    plane: Plane | None = None
    paths: list[Path] = Field(default_factory=list)
    widths: list[Width] = Field(default_factory=list)
    rise: float | None = None

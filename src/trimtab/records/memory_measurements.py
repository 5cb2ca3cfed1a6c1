"""The schemas of the measurements of solved memories: what they leak, their geometry, the loss around them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trimtab.records.memory_rows import Count
from trimtab.records.rows import Number, Row

LEAKS = "leaks.json"
GEOMETRY = "geometry.json"
LANDSCAPE = "landscape.json"


class Estimate(Row):
    """A mean with its 95% interval."""

    mean: Number
    low: Number | None = None
    high: Number | None = None


class PairBits(Row):
    """The bits that one memory stores, and the tokens of its two texts."""

    pair: str
    bits: Number
    question_tokens: Count
    answer_tokens: Count


class PerVector(Row):
    """Bits per vector, of all memories; `vectors` is the number of vectors of a memory, None where it varies."""

    bits_per_vector: Estimate
    vectors: int | None = None
    pairs: list[PairBits] = Field(default_factory=list)


class LeaksRecord(Row):
    """`leaks.json`: by text and by mode, the loss in bits under the memory minus that of the model alone (`prior`)."""

    bits: dict[str, dict[str, Estimate]]
    prior: dict[str, Estimate] = Field(default_factory=dict)
    per_vector: PerVector | None = None


Quantiles = Annotated[list[Number], Field(min_length=5, max_length=5)]
"""The quantiles of 0, ¼, ½, ¾ and 1."""


class Norms(Row):
    """Norms of the memories' vectors and of the vocabulary's embeddings."""

    vectors: Quantiles
    vocabulary: Quantiles


class Nearest(Row):
    """The token of the vocabulary nearest to one vector."""

    pair: str
    vector: int
    token: str
    cosine: Number


class MemoryDistances(Row):
    """Mean cosines between memories and between the vectors of one; distances between the memories in `order`."""

    same_pair: Number | None = None
    other_pair: Number | None = None
    within: Number | None = None
    distances: list[list[Number]] = Field(default_factory=list)
    order: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _square(self) -> Self:
        if any(len(row) != len(self.distances) for row in self.distances) or len(self.order) != len(self.distances):
            raise ValueError("distances should be a square table with a row and a column for every pair of 'order'")
        return self


class GeometryRecord(Row):
    """`geometry.json`."""

    norms: Norms | None = None
    nearest: list[Nearest] = Field(default_factory=list)
    between: MemoryDistances | None = None


class LossLine(Row):
    """Losses along a direction through a memory; offsets are shares of the memory's norm."""

    pair: str
    direction: int | str = 0
    offsets: list[Number]
    question: list[Number]
    answer: list[Number]

    @model_validator(mode="after")
    def _even(self) -> Self:
        if not len(self.offsets) == len(self.question) == len(self.answer):
            raise ValueError("offsets, question and answer should have one length")
        return self


class LossPlane(Row):
    """Losses in a plane through a memory: `loss[row][column]` at `offsets[row]`, `offsets[column]`."""

    pair: str
    offsets: list[Number]
    loss: list[list[Number]]

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.offsets)
        if size < 2 or len(self.loss) != size or any(len(row) != size for row in self.loss):
            raise ValueError("loss should be a table with a row and a column for every offset, two at least")
        return self


class LossPath(Row):
    """Losses on the straight line between the memories of two restarts of a pair; positions run from 0 to 1."""

    pair: str
    restarts: Annotated[list[int], Field(min_length=2, max_length=2)]
    positions: list[Number]
    loss: list[Number]

    @model_validator(mode="after")
    def _even(self) -> Self:
        if len(self.positions) != len(self.loss) or not self.loss:
            raise ValueError("positions and loss should have one length, above 0")
        return self


class Width(Row):
    """The distance, as a share of the memory's norm, at which the loss has risen by `rise`; None where it never does."""

    pair: str
    width: Number | None


class LandscapeRecord(Row):
    """`landscape.json`; `rise`, in nats per token, is what the loss rises by within a basin's width."""

    lines: list[LossLine] = Field(default_factory=list)
    plane: LossPlane | None = None
    paths: list[LossPath] = Field(default_factory=list)
    widths: list[Width] = Field(default_factory=list)
    rise: Number | None = None

"""The config of label noise."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trimtab.config.schema import Frozen


class LabelNoise(Frozen):
    """How noise is added to the problems of a task, and what a loss may know about it.

    *Flips.* A row is doubtful with probability `doubtful`, otherwise clean. The answer of a doubtful row is replaced by a wrong
    one with probability `flip / doubtful`, that of a clean row never. A number at the end of an answer becomes another number
    within `reach`: with `near`, the probability is multiplied by `decay` per unit of distance; with `uniform`, all are equally
    likely. If the problem has options, the answer becomes another option, all equally likely. Any other text becomes the answer
    of another problem.

    *Ambiguous questions.* Of the problems that can be read in two ways, the share `ambiguous` is written ambiguously. The label
    is the answer under the second reading with probability `second`; the truth is the answer under the first.

    *Coarse answers.* Of the answers that end in a number, the share `coarse` is rounded to a multiple of `coarse_to`.

    *Tags* set the `uncertainty` of each row. `exact` is the probability that the label is not the truth, given only what is known
    *before* the draws: whether the row is doubtful, ambiguous or rounded. It is 1 − (1 − own)(1 − flip/doubtful)(1 −
    second)/coarse_to with the factors that apply to the row, where `own` is the uncertainty from the task itself and a rounded
    number is assumed to equal the truth with probability 1/coarse_to. For a problem with options it is 1 minus the probability of
    the truth. So the tag identifies doubtful rows, but never wrong labels. `shuffled` permutes the exact tags over the rows: a
    control with the same values, which say nothing about their rows. `noisy` adds a normal draw with standard deviation
    `tag_noise`, clipped to [0, 1]. `oracle` is 1 if the label is not the truth, otherwise 0; no real tag could know this. `none`
    is 0.

    Every random decision about a row has a draw of its own, from a stream that only noise uses. So the problems are the same with
    and without noise. If the other keys stay the same, a larger `flip`, `ambiguous` or `coarse` makes its change in all rows in
    which a smaller one makes it, in the same way, and in further rows.
    """

    flip: Annotated[float, Field(ge=0, lt=1, description="share of the answers that are replaced by a wrong one")] = 0.0
    flip_kind: Annotated[
        Literal["near", "uniform"],
        Field(description="whether near numbers are more likely, or all numbers within `reach` equally likely"),
    ] = "near"
    reach: Annotated[
        int, Field(ge=1, le=100, description="largest distance of a wrong number, in units of its last place")
    ] = 10
    decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="with `near`: factor on the probability of a number per unit of distance from the one that it replaces",
        ),
    ] = 0.5
    doubtful: Annotated[
        float, Field(gt=0, le=1, description="share of the rows that can be flipped; at least `flip`")
    ] = 0.5
    ambiguous: Annotated[
        float,
        Field(ge=0, le=1, description="share of the questions with a second reading that are written ambiguously"),
    ] = 0.0
    second: Annotated[
        float, Field(gt=0, le=0.5, description="probability that the label is the answer under the second reading")
    ] = 0.5
    coarse: Annotated[float, Field(ge=0, le=1, description="share of the final numbers that are rounded")] = 0.0
    coarse_to: Annotated[int, Field(ge=2, description="numbers are rounded to a multiple of this")] = 10
    tags: Annotated[
        Literal["exact", "shuffled", "noisy", "oracle", "none"],
        Field(description="what the `uncertainty` of a row is; see the class `LabelNoise`"),
    ] = "exact"
    tag_noise: Annotated[float, Field(ge=0, description="standard deviation of the draw that `tags: noisy` adds")] = 0.2
    validation: Annotated[bool, Field(description="add noise to the validation split too")] = False

    @model_validator(mode="after")
    def _only_doubtful_rows_are_flipped(self) -> Self:
        if self.flip > self.doubtful:
            raise ValueError(
                f"`flip` is {self.flip} but `doubtful` is {self.doubtful}, and only doubtful rows are flipped. Raise `doubtful` "
                "to at least `flip`"
            )
        return self

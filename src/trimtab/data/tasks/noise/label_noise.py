"""What label noise a config asks for."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trimtab.config.schema import Frozen


class LabelNoise(Frozen):
    """How the problems of a task are changed, and what a loss learns of it.

    *Flips.* A row is doubtful with probability `doubtful`, else clean; a doubtful row's answer is replaced by a wrong one with
    probability `flip / doubtful`, a clean one's never. A number at the end of an answer becomes another within `reach`: `near`
    with a chance falling by `decay` a unit of distance, `uniform` with all alike. One of a problem's options becomes another
    of them, all alike. Any other text becomes the answer of another problem.

    *Ambiguous questions.* Of the problems that can be read in two ways a share `ambiguous` is asked so; the label is the second
    reading's with probability `second`. The truth is the first reading's.

    *Coarse answers.* A share `coarse` of the answers that end in a number gets it rounded to a multiple of `coarse_to`.

    *Tags.* `exact` is the probability that the label is not the truth, as far as it is known *before* the draws: of what
    group the row is, whether it is ambiguous, whether it was rounded. It is
    1 − (1 − own)(1 − flip/doubtful)(1 − second)/coarse_to with the factors that apply to the row (`own` is the uncertainty
    that the task itself gives; a rounded number is the truth one time in coarse_to), and where there are options, 1 minus
    the truth's probability. So it tells which rows to doubt, never which labels are wrong. `shuffled` is the same tags
    permuted over the rows: a control that has the same weights on average and no knowledge. `noisy` adds a normal draw of
    standard deviation `tag_noise`, kept within [0, 1]. `oracle` is 1 where the label is not the truth and 0 elsewhere; no
    real tag knows that. `none` is 0.

    Every draw of a row is a number of its own from a stream that only noise uses: the problems are the same with and without
    noise, and a larger share changes the rows that a smaller one did, in the same way, and more.
    """

    flip: Annotated[float, Field(ge=0, lt=1, description="share of the answers replaced by a wrong one")] = 0.0
    flip_kind: Annotated[
        Literal["near", "uniform"],
        Field(description="which wrong numbers are likely: near ones, or all within reach alike"),
    ] = "near"
    reach: Annotated[
        int, Field(ge=1, le=100, description="how far a wrong number is at most, in units of its last place")
    ] = 10
    decay: Annotated[
        float, Field(gt=0, le=1, description="of near numbers: the chance of one against that of one a unit nearer")
    ] = 0.5
    doubtful: Annotated[
        float, Field(gt=0, le=1, description="share of the rows among which all flips are; at least `flip`")
    ] = 0.5
    ambiguous: Annotated[
        float, Field(ge=0, le=1, description="of the questions that have a second reading, the share that is asked so")
    ] = 0.0
    second: Annotated[float, Field(gt=0, le=0.5, description="probability of the second reading's answer")] = 0.5
    coarse: Annotated[float, Field(ge=0, le=1, description="share of the numbers that are rounded")] = 0.0
    coarse_to: Annotated[int, Field(ge=2, description="what numbers are rounded to a multiple of")] = 10
    tags: Annotated[
        Literal["exact", "shuffled", "noisy", "oracle", "none"],
        Field(description="what the uncertainty of a row tells; see the class `LabelNoise`"),
    ] = "exact"
    tag_noise: Annotated[float, Field(ge=0, description="standard deviation of what `tags: noisy` adds")] = 0.2
    validation: Annotated[bool, Field(description="whether the validation split is made noisy too")] = False

    @model_validator(mode="after")
    def _flips_fit_in(self) -> Self:
        if self.flip > self.doubtful:
            raise ValueError(
                f"flip is {self.flip} and doubtful {self.doubtful}, but only doubtful rows are flipped. Raise doubtful to at "
                "least flip"
            )
        return self

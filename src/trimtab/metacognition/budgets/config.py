"""The config of a budget run."""

from typing import Annotated, Literal

from pydantic import Field

from trimtab.config import Frozen
from trimtab.config.schema import FILE_PATH

Policy = Literal["predicted", "hull", "fixed", "shuffled", "prompt_length", "oracle", "none", "free"]
"""How budgets are chosen; see `BudgetsConfig.policy`."""


class BudgetsConfig(Frozen):
    """A way to choose budgets, on the outcomes of a thinking run. Nothing is trained or generated."""

    kind: Annotated[Literal["budgets"], Field(description="the kind of run")] = "budgets"
    seed: Annotated[int, Field(ge=0, description="the seed of the thinking run")] = 0
    runs: Annotated[
        str,
        Field(
            min_length=1,
            description="a folder with finished thinking runs `seed-0`, `seed-1`, and so on, such as an arm of an experiment",
            json_schema_extra=FILE_PATH,
        ),
    ]
    policy: Annotated[
        Policy,
        Field(
            description="predicted: the model's own budgets; hull: the best mixture of fixed ones; fixed: the best fixed one; "
            "shuffled: the predicted ones, given to the problems at random; prompt_length: by a regression on the length of the "
            "prompt; oracle: no limit for the shortest thoughts; none and free: no thought, and no limit. The metric `gain` is "
            "the accuracy less that of the best mixture of fixed budgets with as many tokens"
        ),
    ] = "predicted"
    share: Annotated[
        float, Field(gt=0, lt=1, description="the share of the tokens of free thoughts that predicted budgets may use")
    ] = 0.5

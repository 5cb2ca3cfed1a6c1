"""The config of a thinking run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trimtab.config import Frozen
from trimtab.training.config import RunConfig


class ObserveConfig(Frozen):
    """The problems whose outcomes under every cap the layer learns from."""

    problems: Annotated[int, Field(ge=10, description="number of training problems that are observed")] = 2000


class LayerConfig(Frozen):
    """How the layer learns: a fork of the first run, on the observed problems."""

    steps: Annotated[int, Field(ge=1, description="steps after those of the first run")] = 400
    base_rate: Annotated[
        float, Field(gt=0, description="learning rate of the base model, as a multiple of the first run's")
    ] = 0.1
    rate: Annotated[float, Field(gt=0, description="learning rate of the layer, as a multiple of the first run's")] = (
        0.5
    )
    plan: Annotated[float, Field(ge=0, description="weight of the loss `plan`")] = 0.1
    length: Annotated[float, Field(ge=0, description="weight of the loss `thinking_length`")] = 0.3
    budget: Annotated[float, Field(ge=0, description="weight of the loss `thinking_budget`")] = 0.0
    confidence: Annotated[float, Field(ge=0, description="weight of the loss `cap_confidence`")] = 1.0
    variance: Annotated[float, Field(ge=0, description="weight of the loss `layer_variance`")] = 0.0


class CompareConfig(Frozen):
    """The comparison of budgets on fresh problems."""

    problems: Annotated[int, Field(ge=10, description="number of validation problems")] = 1000
    share: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="the share of the tokens of free thoughts that predicted budgets may use; the price of a thought is "
            "chosen for it on training problems that were not observed before",
        ),
    ] = 0.5
    sure: Annotated[
        float,
        Field(gt=0, lt=1, description="the share of right answers from which on a confidence counts as sure"),
    ] = 0.9
    pricing: Annotated[int, Field(ge=10, description="number of these training problems")] = 500


class ThinkingConfig(Frozen):
    """Everything that decides a thinking run."""

    kind: Annotated[Literal["thinking"], Field(description="the kind of run")] = "thinking"
    seed: Annotated[int, Field(ge=0, description="the seed of all its runs")] = 0
    run: Annotated[
        RunConfig,
        Field(description="the first run, in which the model learns to think; data: thinking, model: metacognitive"),
    ] = RunConfig()
    observe: Annotated[ObserveConfig, Field(description="outcomes under every cap")] = ObserveConfig()
    layer: Annotated[LayerConfig, Field(description="the second run, in which the layer learns")] = LayerConfig()
    compare: Annotated[CompareConfig, Field(description="the comparison of budgets")] = CompareConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.run.data.name != "thinking" or self.run.model.name != "metacognitive":
            raise ValueError(
                "a thinking run needs run.data {name: thinking, ...} and run.model {name: metacognitive, base: {...}}, but has "
                f"data '{self.run.data.name}' and model '{self.run.model.name}'"
            )
        size, needed = self.run.data.spec.get("size"), self.observe.problems + self.compare.pricing
        if size is not None and size < needed:
            raise ValueError(
                f"observe.problems and compare.pricing need {needed} training problems, but run.data.size is only {size}"
            )
        validation = self.run.data.spec.get("validation")
        if validation is not None and validation < self.compare.problems:
            raise ValueError(
                f"compare.problems is {self.compare.problems}, but run.data.validation is only {validation}"
            )
        return self

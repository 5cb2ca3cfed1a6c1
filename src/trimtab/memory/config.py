"""The config of a memory run: a frozen model, pairs, and how vectors for them are optimised and evaluated."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trimtab.config.schema import FILE_PATH, Component, Frozen, component

Stage = Literal["baselines", "single", "joint", "counterfactual", "paraphrases", "generation", "ablations", "analysis"]
"""The stages of a memory run, in order."""

Decay = Annotated[float, Field(ge=0, lt=1)]


class SolveConfig(Frozen):
    """How the vectors of a pair are optimised."""

    steps: Annotated[int, Field(ge=1, description="the most updates of a candidate")] = 500
    restarts: Annotated[int, Field(ge=1, description="the most candidates of a pair, one after the other")] = 5
    margin: Annotated[
        float,
        Field(
            ge=0,
            description="the margin in logits that every target token of a solved pair has over all other tokens",
        ),
    ] = 1.0
    lr: Annotated[
        float, Field(gt=0, description="Adam's learning rate, as a multiple of the embedding's standard deviation")
    ] = 0.22
    betas: Annotated[tuple[Decay, Decay], Field(description="Adam's decay rates, each in [0, 1)")] = (0.9, 0.9)
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        Field(description="the frozen model's precision; auto is bf16 if the hardware has native bf16 products"),
    ] = "auto"
    positions: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(
            description="the most positions in one forward pass, which bounds memory; auto is set from the free memory"
        ),
    ] = "auto"
    checkpoint_every: Annotated[int, Field(ge=1, description="steps of the solver between checkpoints")] = 10


class GatesConfig(Frozen):
    """The shares of solved pairs below which a run stops and says what to look at."""

    single: Annotated[float, Field(ge=0, le=1, description="for the question alone, and for the answer alone")] = 0.7
    joint: Annotated[float, Field(ge=0, le=1, description="for both together")] = 0.3
    early: Annotated[float, Field(ge=0, le=1, description="for the first pairs; below it there is a warning only")] = (
        0.2
    )
    early_after: Annotated[int, Field(ge=1, description="after how many tried pairs `early` is checked")] = 50


class ParaphrasesConfig(Frozen):
    """Paraphrases, whose losses are part of the objective too."""

    path: Annotated[
        str | None,
        Field(description="a JSONL file of {pair, questions, answers}; null for none", json_schema_extra=FILE_PATH),
    ] = None
    weight: Annotated[
        float, Field(gt=0, description="the weight of all paraphrases of a side together; the target itself has 1")
    ] = 0.3


class AblationsConfig(Frozen):
    """Settings that are varied one at a time, on the first pairs."""

    pairs: Annotated[int, Field(ge=1, description="how many of the first pairs each cell uses")] = 20
    vectors: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(description="numbers of vectors")] = ()
    learning_rate: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(description="values of solve.lr")] = ()
    models: Annotated[
        tuple[Component, ...],
        Field(
            description="other frozen models, each with its own tokenizer and modes: a list of {name: pretrained, path: ...}",
            json_schema_extra=component("frozen_model"),
        ),
    ] = ()

    @field_validator("vectors", "learning_rate")
    @classmethod
    def _once(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            raise ValueError(f"{twice} is listed twice; list each value once")
        return values


class MemoryConfig(Frozen):
    """Everything that determines a memory run."""

    question: Annotated[str, Field(min_length=1, description="the question that the run answers, in words")] = (
        "Is there one set of vectors that makes the frozen model produce both a question and its answer?"
    )
    seed: Annotated[int, Field(ge=0, description="the seed of all random numbers")] = 0
    threads: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(description="CPU threads; auto is the physical cores, resolved at the start"),
    ] = "auto"
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Field(description="where the model runs")] = "auto"
    model: Annotated[Component, Field(description="the frozen model", json_schema_extra=component("frozen_model"))]
    pairs: Annotated[
        Component, Field(description="where questions and answers come from", json_schema_extra=component("pairs"))
    ]
    count: Annotated[int | None, Field(ge=1, description="the number of pairs; null for all")] = 100
    longest_question: Annotated[
        int | None, Field(ge=2, description="the most tokens of a question, end token included")
    ] = None
    longest_answer: Annotated[
        int | None, Field(ge=2, description="the most tokens of an answer, end token included")
    ] = None
    vectors: Annotated[int, Field(ge=1, description="K, the number of memory vectors of a pair")] = 32
    layout: Annotated[
        Literal["two_sequences", "shared_prefix"],
        Field(
            description="two_sequences: [mode, c, target] per side; shared_prefix: c once, then [mode, target] of both sides"
        ),
    ] = "two_sequences"
    modes: Annotated[
        Component,
        Field(description="the vectors that select question or answer", json_schema_extra=component("modes")),
    ] = Component(name="random")
    solve: Annotated[SolveConfig, Field(description="how vectors are optimised")] = SolveConfig()
    stages: Annotated[
        tuple[Stage, ...],
        Field(min_length=1, description="the stages to run; their order is always that of the protocol"),
    ] = ("baselines", "single", "joint", "counterfactual", "generation", "analysis")
    single_pairs: Annotated[int, Field(ge=1, description="how many first pairs `single` and `counterfactual` use")] = 20
    gates: Annotated[GatesConfig, Field(description="shares of solved pairs below which the run stops")] = GatesConfig()
    paraphrases: Annotated[ParaphrasesConfig, Field(description="paraphrases")] = ParaphrasesConfig()
    ablations: Annotated[AblationsConfig, Field(description="settings that are varied one at a time")] = (
        AblationsConfig()
    )
    landscape_pairs: Annotated[
        int, Field(ge=0, description="memories with paths in the loss landscape; 0: no landscape")
    ] = 3

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if "paraphrases" in self.stages and self.paraphrases.path is None:
            raise ValueError("stages: 'paraphrases' needs paraphrases.path; name a JSONL, or leave the stage out")
        solving = {"single", "joint"} & set(self.stages)
        if solving and "baselines" not in self.stages:
            raise ValueError("stages: 'single' and 'joint' compare losses with the baselines; add 'baselines'")
        later = {"counterfactual", "paraphrases", "generation", "ablations", "analysis"} & set(self.stages)
        if later and "joint" not in self.stages:
            raise ValueError(f"stages: '{sorted(later)[0]}' needs 'joint', which is not listed; add it")
        return self

    @property
    def plain(self) -> dict[str, Any]:
        """The config as JSON values."""
        return self.model_dump(mode="json")

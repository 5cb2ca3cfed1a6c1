"""The typed shape of a memory run: a frozen model, pairs, and how vectors for them are found and judged."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trimtab.config.schema import FILE_PATH, Component, Frozen, component

Stage = Literal["baselines", "single", "joint", "counterfactual", "paraphrases", "generation", "ablations", "analysis"]
"""The parts of a memory run, in their order."""

Decay = Annotated[float, Field(ge=0, lt=1)]


class SolveConfig(Frozen):
    """How the vectors of a pair are found."""

    steps: Annotated[int, Field(ge=1, description="updates of a candidate at most")] = 500
    restarts: Annotated[int, Field(ge=1, description="candidates of a pair at most, one after the other")] = 5
    margin: Annotated[
        float,
        Field(ge=0, description="logits by which every target token must beat its runner-up for a pair to be solved"),
    ] = 1.0
    lr: Annotated[
        float, Field(gt=0, description="Adam's learning rate, a multiple of the embedding's standard deviation")
    ] = 0.22
    betas: Annotated[tuple[Decay, Decay], Field(description="Adam's decay rates, each from 0 to under 1")] = (0.9, 0.9)
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        Field(description="the frozen model's precision; auto is bf16 where the hardware multiplies it natively"),
    ] = "auto"
    positions: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(
            description="positions read at once at most, which bounds memory; auto is set from the free memory, and recorded"
        ),
    ] = "auto"
    checkpoint_every: Annotated[int, Field(ge=1, description="steps of the engine between checkpoints")] = 10


class GatesConfig(Frozen):
    """The shares of solved pairs below which a run stops and says what to look at."""

    single: Annotated[float, Field(ge=0, le=1, description="of the question alone, and of the answer alone")] = 0.7
    joint: Annotated[float, Field(ge=0, le=1, description="of both together")] = 0.3
    early: Annotated[float, Field(ge=0, le=1, description="of the first pairs: below it a warning is given")] = 0.2
    early_after: Annotated[int, Field(ge=1, description="how many pairs have been tried when that is looked at")] = 50


class ParaphrasesConfig(Frozen):
    """Other wordings, which pull on the vectors too."""

    path: Annotated[
        str | None,
        Field(description="a JSONL of {pair, questions, answers}; null for none", json_schema_extra=FILE_PATH),
    ] = None
    weight: Annotated[
        float, Field(gt=0, description="of all other wordings of a side together, where the target itself has 1")
    ] = 0.3


class AblationsConfig(Frozen):
    """What is varied, one thing at a time, on the first pairs."""

    pairs: Annotated[int, Field(ge=1, description="pairs of every cell, the first ones")] = 20
    vectors: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(description="numbers of vectors")] = ()
    learning_rate: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(description="values of solve.lr")] = ()
    models: Annotated[
        tuple[Component, ...],
        Field(
            description="other frozen models, each with its own tokens and modes: a list of {name: pretrained, path: ...}",
            json_schema_extra=component("frozen_model"),
        ),
    ] = ()

    @field_validator("vectors", "learning_rate")
    @classmethod
    def _once(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            raise ValueError(f"{twice} is listed twice, and a cell is solved once; leave one of them out")
        return values


class MemoryConfig(Frozen):
    """Everything that decides a memory run."""

    question: Annotated[str, Field(min_length=1, description="what is asked, in words")] = (
        "Is there one set of vectors that makes the frozen model say both a question and its answer?"
    )
    seed: Annotated[int, Field(ge=0, description="the seed of everything that is drawn")] = 0
    threads: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(description="CPU threads; auto is the physical cores, resolved at the start"),
    ] = "auto"
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Field(description="where the model runs")] = "auto"
    model: Annotated[Component, Field(description="the frozen model", json_schema_extra=component("frozen_model"))]
    pairs: Annotated[
        Component, Field(description="where questions and answers come from", json_schema_extra=component("pairs"))
    ]
    count: Annotated[int | None, Field(ge=1, description="pairs to take; null for all that there are")] = 100
    longest_question: Annotated[
        int | None, Field(ge=2, description="tokens of a question at most, its end included")
    ] = None
    longest_answer: Annotated[int | None, Field(ge=2, description="tokens of an answer at most, its end included")] = (
        None
    )
    vectors: Annotated[int, Field(ge=1, description="memory vectors of a pair, K")] = 32
    layout: Annotated[
        Literal["two_sequences", "shared_prefix"],
        Field(description="[mode, c, target] for each side, or c once and [mode, target] of both sides after it"),
    ] = "two_sequences"
    modes: Annotated[
        Component,
        Field(description="the two vectors that tell question from answer", json_schema_extra=component("modes")),
    ] = Component(name="random")
    solve: Annotated[SolveConfig, Field(description="how vectors are found")] = SolveConfig()
    stages: Annotated[
        tuple[Stage, ...],
        Field(min_length=1, description="what is done, in the order of the protocol whatever is listed"),
    ] = ("baselines", "single", "joint", "counterfactual", "generation", "analysis")
    single_pairs: Annotated[int, Field(ge=1, description="pairs of the single-target stage, the first ones")] = 20
    gates: Annotated[GatesConfig, Field(description="when a run stops")] = GatesConfig()
    paraphrases: Annotated[ParaphrasesConfig, Field(description="other wordings")] = ParaphrasesConfig()
    ablations: Annotated[AblationsConfig, Field(description="what is varied")] = AblationsConfig()
    landscape_pairs: Annotated[int, Field(ge=0, description="memories whose loss landscape is drawn; 0 for none")] = 3

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if "paraphrases" in self.stages and self.paraphrases.path is None:
            raise ValueError("stages: 'paraphrases' needs paraphrases.path; name a JSONL, or leave the stage out")
        solving = {"single", "joint"} & set(self.stages)
        if solving and "baselines" not in self.stages:
            raise ValueError(
                "stages: solved pairs are compared with the baselines, which are not listed; add 'baselines'"
            )
        later = {"counterfactual", "paraphrases", "generation", "ablations", "analysis"} & set(self.stages)
        if later and "joint" not in self.stages:
            raise ValueError(f"stages: '{sorted(later)[0]}' comes after 'joint', which is not listed; add it")
        return self

    @property
    def plain(self) -> dict[str, Any]:
        """The config as JSON values."""
        return self.model_dump(mode="json")

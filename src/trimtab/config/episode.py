"""The training decisions of a run and its indicators, shared by every kind of run that trains a model."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trimtab.config.schema import Component, Frozen, component

CHANGEABLE = {"changeable": True}
"""Marks the keys of `EpisodeConfig` that a decision may change during a run."""


class EarlyStopping(Frozen):
    """Stop a run when a metric of its evaluations no longer improves."""

    metric: Annotated[
        str | None,
        Field(min_length=1, description="a metric of evaluations, as for `best_metric`; null for `best_metric` itself"),
    ] = None
    patience: Annotated[int, Field(ge=1, description="evaluations in a row without a gain before the run stops")] = 5
    minimum_gain: Annotated[
        float, Field(ge=0, description="how much the metric must improve to count as a gain, in its own unit")
    ] = 0.0


class SampleConfig(Frozen):
    """The text generated at every evaluation."""

    prompt: Annotated[str, Field(min_length=1, description="the text that the sample continues")] = "The "
    tokens: Annotated[int, Field(ge=0, description="tokens to generate; 0 switches samples off")] = 200
    count: Annotated[
        int,
        Field(
            ge=1,
            description="samples generated in one batch: the first is recorded, the figures are means over all of them",
        ),
    ] = 8
    temperature: Annotated[
        float, Field(ge=0, description="1 samples from the model's own distribution, 0 is greedy")
    ] = 1.0
    top_k: Annotated[int | None, Field(ge=1, description="sample among the k likeliest tokens only")] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, description="sample within this share of probability only")] = None


class TaskEvalConfig(Frozen):
    """The answers that are generated for validation problems and scored; for data of a task only."""

    every: Annotated[
        int | None,
        Field(
            ge=1,
            description="steps between task evaluations. One is made only at a step that also has an evaluation, so use a "
            "multiple of evaluate_every. There is one at the end too; null: only that one",
        ),
    ] = None
    problems: Annotated[
        int,
        Field(ge=0, description="validation problems, spread evenly over the split; 0 switches task evaluations off"),
    ] = 200
    tokens: Annotated[int, Field(ge=1, description="tokens that an answer may have, its end token included")] = 64
    samples: Annotated[
        int, Field(ge=0, description="further answers drawn for each problem, to see how many agree; 0 for none")
    ] = 0
    temperature: Annotated[float, Field(gt=0, description="the temperature of those further answers")] = 1.0


class DataMix(Frozen):
    """Shares of the easiest and the hardest third of the data; the middle third has the rest."""

    easy: Annotated[float, Field(ge=0, le=1, description="share of samples from the easiest third")] = 1 / 3
    hard: Annotated[float, Field(ge=0, le=1, description="share of samples from the hardest third")] = 1 / 3

    @model_validator(mode="after")
    def _within_one(self) -> Self:
        if self.easy + self.hard > 1 + 1e-9:
            raise ValueError(f"easy + hard is {self.easy} + {self.hard}, which is more than 1")
        return self


class RewindConfig(Frozen):
    """The snapshots that a controller may rewind to; none is kept for a controller that never rewinds."""

    every: Annotated[int, Field(ge=1, description="steps between snapshots, taken where nothing is flagged")] = 25
    keep: Annotated[int, Field(ge=1, description="newest snapshots kept, in memory and in every checkpoint")] = 2
    limit: Annotated[int, Field(ge=0, description="rewinds in a run; further ones only skip the step")] = 5


class EpisodeConfig(Frozen):
    """The training decisions of one run. Frozen: a decision makes a new one (`changed`)."""

    steps: Annotated[int, Field(ge=1, description="optimiser steps in all")] = 1000
    batch_size: Annotated[int, Field(ge=1, description="sequences in one forward pass")] = 16
    accumulation: Annotated[
        int,
        Field(ge=1, description="forward passes per optimiser step; a step sees batch_size × accumulation sequences"),
    ] = 1
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        Field(
            description="compute precision; auto is bf16 where the hardware multiplies it natively, resolved at the start"
        ),
    ] = "auto"
    optimizer: Annotated[Component, Field(description="the optimiser", json_schema_extra=component("optimizer"))] = (
        Component(name="adamw")
    )
    lr_factor: Annotated[
        float, Field(ge=0, description="a factor on the scheduled learning rate", json_schema_extra=CHANGEABLE)
    ] = 1.0
    schedule: Annotated[
        Component,
        Field(
            description="the learning rate's factor as a pure function of the step",
            json_schema_extra=component("schedule"),
        ),
    ] = Component(name="constant")
    clip: Annotated[
        float | None,
        Field(gt=0, description="bound on the global gradient norm; null for none", json_schema_extra=CHANGEABLE),
    ] = 1.0
    loss: Annotated[Component, Field(description="the loss that is minimised", json_schema_extra=component("loss"))] = (
        Component(name="cross_entropy")
    )
    data_mix: Annotated[
        DataMix | None,
        Field(description="shares of data by difficulty; null draws windows uniformly", json_schema_extra=CHANGEABLE),
    ] = None
    regime_controller: Annotated[
        Component | None,
        Field(description="what may intervene during the run", json_schema_extra=component("regime_controller")),
    ] = None
    rewind: Annotated[RewindConfig, Field(description="what a controller that rewinds goes back to")] = RewindConfig()
    evaluate_every: Annotated[
        int, Field(ge=1, description="steps between evaluations; there is one at the end too")
    ] = 200
    evaluation_windows: Annotated[
        int | None, Field(ge=1, description="validation windows, spread evenly over the split; null for all of them")
    ] = 256
    checkpoint_every: Annotated[
        int, Field(ge=1, description="steps between checkpoints; there is one at the end too")
    ] = 200
    keep_checkpoints: Annotated[
        int,
        Field(
            ge=1,
            description="newest checkpoints kept. Also kept: the best by `best_metric`, and for each snapshot that a "
            "controller may rewind to, the checkpoint that was the best when the snapshot was taken",
        ),
    ] = 3
    best_metric: Annotated[
        str,
        Field(
            min_length=1,
            description="the metric of evaluations that decides which checkpoint is the best: val_loss, val_accuracy, "
            "val_calibration_error; val_objective, for a loss other than the plain cross-entropy; with `task_eval.every` also a "
            "metric of task evaluations, such as task_eval.exact_match",
        ),
    ] = "val_loss"
    early_stopping: Annotated[EarlyStopping | None, Field(description="when to stop early; null for never")] = None
    diverged_after: Annotated[
        int,
        Field(
            ge=1,
            description="steps in a row that are all skipped as non-finite, or that all have a smoothed loss above the untrained "
            "model's, after which a run has diverged",
        ),
    ] = 50
    sample: Annotated[SampleConfig, Field(description="the text generated at every evaluation")] = SampleConfig()
    task_eval: Annotated[TaskEvalConfig, Field(description="answers generated and scored, for data of a task")] = (
        TaskEvalConfig()
    )
    dropout_draw: Annotated[
        int,
        Field(
            ge=0,
            description="index of the dropout draws of a seed; changing only this makes an A/A copy of an arm",
        ),
    ] = 0

    @property
    def stopping_metric(self) -> str:
        """The metric that early stopping goes by."""
        return (self.early_stopping.metric if self.early_stopping is not None else None) or self.best_metric

    @classmethod
    def changeable(cls) -> frozenset[str]:
        """The keys that a controller may change during a run."""
        return frozenset(name for name, field in cls.model_fields.items() if field.json_schema_extra == CHANGEABLE)

    def changed(self, **values: Any) -> "EpisodeConfig":
        """This config with other values for some keys, validated (pydantic's own `model_copy` does not)."""
        return EpisodeConfig.model_validate({**dict(self), **values}, strict=True)


class MonitorConfig(Frozen):
    """Which indicators are recorded, and how often."""

    every: Annotated[
        int, Field(ge=1, description="steps between measurements of process memory and of each layer's relative update")
    ] = 1
    horizon: Annotated[int, Field(ge=2, description="steps over which averages and the short volatility look back")] = (
        20
    )
    medium_horizon: Annotated[
        int, Field(ge=4, description="steps over which the medium volatility and the search for a plateau look back")
    ] = 100
    robust_window: Annotated[
        int, Field(ge=8, description="unflagged values that a new loss or gradient norm is judged against")
    ] = 50
    flag_z: Annotated[
        float, Field(gt=0, description="robust z-score above which a loss or a gradient norm is flagged as a spike")
    ] = 6.0
    grad_norm_threshold: Annotated[
        float, Field(gt=0, description="gradient norm over which a step counts into `grad_share_over`")
    ] = 1.0
    patience: Annotated[
        int, Field(ge=1, description="steps in a row that another regime must hold before the regime changes")
    ] = 5
    unstable_rise: Annotated[
        float,
        Field(
            gt=0,
            description="rise of the smoothed loss above its lowest value, in the loss's unit, above which a run is unstable",
        ),
    ] = 0.2
    plateau_gain: Annotated[
        float,
        Field(
            ge=0,
            description="fall of the loss from the older to the newer half of the medium horizon, in the loss's unit, below "
            "which a run is on a plateau",
        ),
    ] = 0.003
    overfitting_rise: Annotated[
        float,
        Field(
            ge=0, description="rise of the validation loss above its best, in nats, above which a run is overfitting"
        ),
    ] = 0.02
    instruments: Annotated[
        tuple[Component, ...],
        Field(
            description="deeper measurements, each at its own cadence; none changes the run",
            json_schema_extra=component("instrument"),
        ),
    ] = ()

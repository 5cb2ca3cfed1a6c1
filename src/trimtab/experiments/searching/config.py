"""The config of a search: what is searched over, how, for how long, and how the result is confirmed."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from trimtab.config.schema import FILE_PATH, Component, Frozen, component
from trimtab.training.config import RunConfig

Bound = Annotated[float, Field(allow_inf_nan=False)]


class KeyConfig(Frozen):
    """The values of one key: a number between two bounds, or one of a list."""

    low: Annotated[Bound | None, Field(description="the lowest value of a number")] = None
    high: Annotated[Bound | None, Field(description="the highest value of a number")] = None
    log: Annotated[bool, Field(description="search on a logarithmic scale")] = False
    whole: Annotated[bool, Field(description="whole numbers only")] = False
    values: Annotated[
        tuple[Any, ...] | None,
        Field(description="the values to choose from, instead of bounds; null may be one of them"),
    ] = None
    when: Annotated[
        dict[str, tuple[Any, ...]] | None,
        Field(
            description="keys before this one that have `values`, each with those of its values for which this key is used; "
            "null: it is always used"
        ),
    ] = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.values is not None:
            if self.low is not None or self.high is not None or self.log or self.whole:
                raise ValueError("a key has either `values`, or `low` and `high`")
        elif self.low is None or self.high is None:
            raise ValueError("a key needs `low` and `high`, or `values`")
        return self


class ConfirmConfig(Frozen):
    """The runs of the best settings on seeds that the search has not used."""

    seeds: Annotated[int, Field(ge=0, description="the number of fresh seeds; 0 confirms nothing")] = 6


class ProbeConfig(Frozen):
    """How a run that pauses is evaluated: by a fork whose learning rate falls to 0."""

    steps: Annotated[int, Field(ge=1, description="steps in which the fork's learning rate falls to 0")]


class SearchConfig(Frozen):
    """Everything that determines a search."""

    seed: Annotated[
        int, Field(ge=0, description="the seed of the search; the seeds of its runs are derived from it")
    ] = 0
    table: Annotated[
        str | None,
        Field(
            description="a table of recorded runs (`trimtab search table`), whose values are taken instead of training; it "
            "determines `run` and `space`; null: train",
            json_schema_extra=FILE_PATH,
        ),
    ] = None
    run: Annotated[
        RunConfig, Field(description="the config of the runs; the space gives other values for some of its keys")
    ] = RunConfig()
    space: Annotated[
        dict[str, KeyConfig],
        Field(
            default_factory=dict, description="the keys of `run` that are searched over, such as episode.optimizer.lr"
        ),
    ]
    metric: Annotated[str, Field(min_length=1, description="the metric that the search improves")] = "val_loss"
    optimizer: Annotated[
        Component, Field(description="what chooses the settings", json_schema_extra=component("search_optimizer"))
    ] = Component(name="pso")
    scheduler: Annotated[
        Component,
        Field(
            description="how much of each run is made, and on how many seeds",
            json_schema_extra=component("search_scheduler"),
        ),
    ] = Component(name="whole")
    trials: Annotated[int, Field(ge=1, description="how many settings are tried; for a population, its size")] = 30
    parallel: Annotated[
        int,
        Field(
            ge=1,
            description="runs at a time; the optimiser chooses each without the values of the others. The result depends "
            "on this number, but not on the number of workers",
        ),
    ] = 1
    fresh_seeds: Annotated[
        bool,
        Field(
            description="give every trial seeds of its own; otherwise all trials share theirs, and differ in nothing else"
        ),
    ] = False
    random_start: Annotated[
        int,
        Field(ge=0, description="the first trials are drawn uniformly by the seed alone, alike for every optimiser"),
    ] = 0
    initial: Annotated[
        tuple[dict[str, Any], ...],
        Field(description="settings to try before all others, with a value for every key used"),
    ] = ()
    probe: Annotated[
        ProbeConfig | None,
        Field(
            description="evaluate paused runs by a fork with a falling rate, because without it high rates look worse than they "
            "are; null: as they are"
        ),
    ] = None
    confirm: Annotated[ConfirmConfig, Field(description="the runs that show how good the best settings are")] = (
        ConfirmConfig()
    )

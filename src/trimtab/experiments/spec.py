"""The typed shape of an experiment: a question, a claim, and a base config with arms, factors, seeds and a pairing."""

import functools
import itertools
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from trimtab.config import ConfigError, Frozen, RunKind, canonical_json, kind_named, resolve_root, set_key
from trimtab.config.wording import Source
from trimtab.records.metrics import Metrics
from trimtab.training.config import RunConfig


class ClaimSpec(Frozen):
    """What the experiment claims of every treatment against the baseline, before it is run."""

    metric: Annotated[str, Field(min_length=1, description="a figure of the episodes' summaries, or a derived one")]
    higher_is_better: Annotated[bool, Field(description="the metric's direction")]
    margin: Annotated[float, Field(gt=0, description="the smallest difference that matters, in the metric's units")]
    alpha: Annotated[float, Field(ge=1e-9, lt=0.5, description="the level of all claims together (Holm)")] = 0.05
    scale: Annotated[
        Literal["plain", "trimmed", "log"], Field(description="the scale on which differences are taken")
    ] = "plain"


class Pairing(Frozen):
    """What the two members of a pair share."""

    name: Annotated[
        Literal["seed", "fork", "lazy_fork"],
        Field(
            description="seed: the same seed; fork: one state after step `at`; lazy_fork: everything up to a controller's "
            "first effective decision"
        ),
    ] = "seed"
    at: Annotated[int | None, Field(ge=1, description="the step at which the arms of a fork part")] = None


class Budget(Frozen):
    """What the experiment may cost at most."""

    pairs: Annotated[int | None, Field(ge=1, description="pairs at most; for a sequential experiment the last one")] = (
        None
    )


class Derived(Frozen):
    """A metric computed over the values of a factor: learning-rate sensitivity (Wortsman et al. 2023, section 2)."""

    name: Annotated[
        Literal["sensitivity"], Field(description="mean excess of a metric over its best across the factor")
    ]
    over: Annotated[str, Field(min_length=1, description="the factor")]
    metric: Annotated[str, Field(min_length=1, description="the metric that is excessive")] = "val_loss"


class Tune(Frozen):
    """What an arm's settings are found among, before the experiment, on seeds of their own."""

    over: Annotated[
        dict[str, list[Any]],
        Field(min_length=1, description="candidate values by dotted key; every combination is run in full"),
    ]
    seeds: Annotated[
        tuple[int, ...], Field(min_length=1, description="the seeds of these runs, none of them the experiment's")
    ] = (1000,)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Every combination of the values."""
        return [dict(zip(self.over, values, strict=True)) for values in itertools.product(*self.over.values())]


class InterventionEffects(Frozen):
    """The effect of every intervention: the run goes on with it and without it, on the same batches."""

    steps: Annotated[int, Field(ge=2, description="steps, the intervention's own included, for which both go on")] = 25
    at_most: Annotated[
        int | None,
        Field(ge=1, description="interventions per episode that are measured, evenly spread; null for all"),
    ] = None


class Experiment(Frozen):
    """An experiment; what is not named here is the base config that every arm starts from."""

    question: Annotated[str, Field(min_length=1, description="what is asked, in words")]
    episodes: Annotated[
        str,
        Field(description="the kind of run that an episode is: `training`, `memory`, or one of an installed package"),
    ] = "training"
    claim: Annotated[ClaimSpec, Field(description="what is claimed of every treatment")]
    arms: Annotated[
        dict[str, dict[str, Any]],
        Field(
            min_length=2,
            description="the arms by name: overrides of the base config by dotted key; {} is the base itself",
        ),
    ]
    baseline: Annotated[
        str | None, Field(description="the arm that the others are compared with; null is the first")
    ] = None
    factors: Annotated[
        dict[str, list[Any]],
        Field(default_factory=dict, description="values by dotted key, crossed with the arms and with each other"),
    ]
    derived: Annotated[Derived | None, Field(description="a metric computed over a factor, named in the claim")] = None
    seeds: Annotated[
        int | list[int], Field(description="how many seeds (from 0), or which ones; a seed is a pair, 12 are usual")
    ] = 12
    pairing: Annotated[Pairing, Field(description="what the two members of a pair share")] = Pairing()
    tune: Annotated[
        dict[str, Tune],
        Field(
            default_factory=dict,
            description="arms whose settings are found first, by the claimed metric, with at most the steps of one arm's "
            "episodes; such an arm is a static one, and has no controller",
        ),
    ]
    noise_floor: Annotated[
        int,
        Field(
            ge=0,
            description="pairs of the baseline with itself under another dropout draw, paired as the arms are; 0 for none",
        ),
    ] = 0
    intervention_effects: Annotated[
        InterventionEffects | bool,
        Field(description="measure the effect of every intervention by going on without it too; true for the defaults"),
    ] = False
    sequential: Annotated[
        bool, Field(description="buy pairs one at a time until the e-value decides or the budget ends")
    ] = False
    budget: Annotated[Budget, Field(description="what it may cost")] = Budget()
    base: Annotated[dict[str, Any], Field(default_factory=dict, description="the base config")]

    @property
    def seed_list(self) -> list[int]:
        """The seeds, in order."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def baseline_arm(self) -> str:
        """The arm that the others are compared with."""
        return self.baseline or next(iter(self.arms))

    @property
    def treatments(self) -> list[str]:
        """The other arms."""
        return [arm for arm in self.arms if arm != self.baseline_arm]

    @property
    def cells(self) -> list[dict[str, Any]]:
        """Every combination of the factors' values; one empty one without factors."""
        return [dict(zip(self.factors, values, strict=True)) for values in itertools.product(*self.factors.values())]

    @property
    def interventions(self) -> InterventionEffects | None:
        """How the effects of interventions are measured; None when they are not."""
        plan = self.intervention_effects
        return (InterventionEffects() if plan else None) if isinstance(plan, bool) else plan

    def runs_alone(self, arm: str) -> bool:
        """Whether the arm's episodes are runs of their own: the baseline's, and where no controller makes it a lazy fork."""
        if arm == self.baseline_arm or self.pairing.name == "seed":  # as every run is that has no training steps
            return True
        config = self.config(arm, self.seed_list[0], self.cells[0])
        return self.pairing.name == "lazy_fork" and config.episode.regime_controller is None

    @property
    def run_kind(self) -> RunKind:
        """The kind of run that an episode is."""
        return kind_named(self.episodes, "episodes: ")

    def metrics_of(self, config: BaseModel) -> Metrics:
        """The metrics that an episode of this config has."""
        found: Metrics = self.run_kind.load("metrics")(config)
        return found

    @property
    def metrics(self) -> Metrics:
        """The metrics of the baseline's episodes."""
        return self.metrics_of(self.episode_config(self.baseline_arm, self.seed_list[0], self.cells[0]))

    def resolved(self, base: Mapping[str, Any], source: str) -> BaseModel:
        """A config of the kind that the episodes have. Raises `ConfigError` that begins with `source`."""
        return resolve_root(self.run_kind.schema, base, Source(source, {}))

    def episode_config(self, arm: str, seed: int, cell: Mapping[str, Any]) -> BaseModel:
        """The resolved config of an episode. Raises `ConfigError` that names the arm.

        Each arm is resolved once per combination of factors; its episodes differ only in the seed, which `check` has checked.
        """
        key = canonical_json([arm, cell])
        if key not in self.resolved_configs:
            data = json.loads(json.dumps(self.base))
            overrides = json.loads(json.dumps({**self.arms[arm], **cell, "seed": seed}))
            for dotted, value in overrides.items():
                set_key(data, dotted, value, self.run_kind.schema)
            self.resolved_configs[key] = self.resolved(data, f"arm '{arm}'")
        return self.resolved_configs[key].model_copy(update={"seed": seed})

    @functools.cached_property
    def resolved_configs(self) -> dict[str, BaseModel]:
        """What `episode_config` has resolved so far, by arm and cell."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values for the fields in `update`, which are not validated."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("resolved_configs", None)  # its arms may be others
        return copy

    def config(self, arm: str, seed: int, cell: Mapping[str, Any]) -> RunConfig:
        """As `episode_config`, where episodes are training runs. Raises `ConfigError` where they are not."""
        self.needs_training()
        config = self.episode_config(arm, seed, cell)
        assert isinstance(config, RunConfig)
        return config

    def needs_training(self) -> None:
        """Raise `ConfigError` where the episodes are no training runs."""
        if not self.run_kind.steps:
            raise ConfigError(
                f"episodes: {self.episodes}. This command is about training runs: give an experiment whose episodes are "
                "training runs."
            )

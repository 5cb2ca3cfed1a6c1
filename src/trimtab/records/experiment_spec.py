"""The schema of `experiment.yaml`: a question, a claim, and a base config with arms, factors, seeds and a pairing."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from trimtab.config import Frozen
from trimtab.config.plain import plain_values
from trimtab.config.wording import Source
from trimtab.config.yaml_file import load_yaml
from trimtab.errors import ConfigError, RunError
from trimtab.records.problems import problems_of


class ClaimSpec(Frozen):
    """What the experiment claims of every treatment against the baseline, before it is run."""

    metric: Annotated[
        str, Field(min_length=1, description="a metric in the episodes' summaries, or the derived metric")
    ]
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
            "first decision that changes the run"
        ),
    ] = "seed"
    at: Annotated[int | None, Field(ge=1, description="the step after which the arms of a fork differ")] = None


class Budget(Frozen):
    """Limits of an experiment."""

    pairs: Annotated[
        int | None,
        Field(ge=1, description="the largest number of pairs; a sequential experiment ends after it at the latest"),
    ] = None


class Derived(Frozen):
    """A metric computed over the values of a factor: learning-rate sensitivity (Wortsman et al. 2023, section 2)."""

    name: Annotated[
        Literal["sensitivity"], Field(description="over the factor's values, the mean of the metric minus its best")
    ]
    over: Annotated[str, Field(min_length=1, description="the factor")]
    metric: Annotated[str, Field(min_length=1, description="the metric whose sensitivity is computed")] = "val_loss"


class Tune(Frozen):
    """The candidate settings of a tuned arm. They are compared before the experiment, on separate seeds."""

    over: Annotated[
        dict[str, list[Any]],
        Field(min_length=1, description="candidate values by dotted key; every combination is run in full"),
    ]
    seeds: Annotated[
        tuple[int, ...],
        Field(min_length=1, description="the seeds of these runs, none of them a seed of the experiment"),
    ] = (1000,)

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Every combination of the values."""
        return [dict(zip(self.over, values, strict=True)) for values in itertools.product(*self.over.values())]


class InterventionEffects(Frozen):
    """The effect of every intervention: the run continues with it and without it, on the same batches."""

    steps: Annotated[
        int, Field(ge=2, description="number of steps that both copies train, including the step of the intervention")
    ] = 25
    at_most: Annotated[
        int | None,
        Field(ge=1, description="interventions per episode that are measured, evenly spread; null for all"),
    ] = None


class ExperimentSpec(Frozen):
    """An experiment as it is written down; keys not named here belong to the base config that every arm starts from."""

    question: Annotated[str, Field(min_length=1, description="the question that the experiment answers")]
    episodes: Annotated[
        str,
        Field(
            description="the kind of run that an episode is: `training`, `memory`, `search`, or one of an installed package"
        ),
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
        int | list[int],
        Field(description="the number of seeds (0, 1, …) or a list of them; each seed gives one pair; 12 are usual"),
    ] = 12
    pairing: Annotated[Pairing, Field(description="what the two members of a pair share")] = Pairing()
    tune: Annotated[
        dict[str, Tune],
        Field(
            default_factory=dict,
            description="arms whose settings are tuned before the experiment, on the claimed metric; tuning may take at most as "
            "many runs as one arm; a tuned arm has no controller",
        ),
    ]
    noise_floor: Annotated[
        int,
        Field(
            ge=0,
            description="number of A/A pairs: baseline against baseline with other dropout draws, paired as the arms are; 0 for "
            "none",
        ),
    ] = 0
    intervention_effects: Annotated[
        InterventionEffects | bool,
        Field(
            description="measure the effect of every intervention by also continuing without it; true for the defaults"
        ),
    ] = False
    sequential: Annotated[
        bool, Field(description="run one pair at a time until the sequential test decides or `budget.pairs` is used up")
    ] = False
    budget: Annotated[Budget, Field(description="limits of the experiment")] = Budget()
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
        """Every combination of the factors' values; a single empty combination if there are no factors."""
        return [dict(zip(self.factors, values, strict=True)) for values in itertools.product(*self.factors.values())]

    @property
    def interventions(self) -> InterventionEffects | None:
        """How the effects of interventions are measured; None when they are not."""
        plan = self.intervention_effects
        return (InterventionEffects() if plan else None) if isinstance(plan, bool) else plan


_OWN = [name for name in ExperimentSpec.model_fields if name != "base"]


def with_base(content: Mapping[str, Any]) -> dict[str, Any]:
    """Splits the content of a spec file into the spec's own fields and `base`."""
    own = {key: value for key, value in content.items() if key in _OWN}
    return own | {"base": {key: value for key, value in content.items() if key not in _OWN}}


def file_content(spec: ExperimentSpec) -> dict[str, Any]:
    """The content of a spec's file: what `with_base` reads."""
    fields = spec.model_dump(mode="json")
    base: dict[str, Any] = fields.pop("base")
    return fields | base


def read_spec(path: Path) -> ExperimentSpec:
    """The spec in the folder of an experiment. The base config is not validated; nothing that it names is imported.

    Raises `RunError` where the file is missing or damaged.
    """
    if not path.exists():
        raise RunError(
            f"{path.parent} is not the folder of an experiment: there is no {path.name} in it. Give the folder that `trimtab "
            "run` was given as --out."
        )
    try:
        content, lines = load_yaml(path)
        plain = with_base(plain_values(content, Source(str(path), lines)))
        spec = ExperimentSpec.model_validate_json(json.dumps(plain))
    except ConfigError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {problems_of(error)}. Restore it from a copy.") from error
    if spec.baseline_arm not in spec.arms:
        raise RunError(
            f"{path} is damaged: its baseline '{spec.baseline_arm}' is not one of its arms. Restore it from a copy."
        )
    return spec

"""The typed shape of an experiment: a question, a claim, and a base config with arms, factors, seeds and a pairing."""

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from trimtab.config import ConfigError, RunConfig, absolute_paths, canonical_json, resolve_config, set_key
from trimtab.config.overrides import apply_overrides
from trimtab.config.schema import Frozen
from trimtab.config.wording import Source, worded
from trimtab.config.yaml_file import load_yaml


class ClaimSpec(Frozen):
    """What the experiment claims of every treatment against the baseline, before it is run."""

    metric: Annotated[str, Field(min_length=1, description="a figure of the episodes' summaries, or a derived one")]
    higher_is_better: Annotated[bool, Field(description="the metric's direction")]
    margin: Annotated[float, Field(gt=0, description="the smallest difference that matters, in the metric's units")]
    alpha: Annotated[float, Field(gt=0, lt=1, description="the level of all claims together (Holm)")] = 0.05
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


class Experiment(Frozen):
    """An experiment; what is not named here is the base config that every arm starts from."""

    question: Annotated[str, Field(min_length=1, description="what is asked, in words")]
    claim: Annotated[ClaimSpec, Field(description="what is claimed of every treatment")]
    arms: Annotated[
        dict[str, dict[str, Any]],
        Field(
            min_length=2,
            description="the arms by name: overrides of the base config by dotted key; {} is the base itself",
        ),
    ]
    baseline: Annotated[
        str | None, Field(description="the arm that the others are held against; null is the first")
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
        """The arm that the others are held against."""
        return self.baseline or next(iter(self.arms))

    @property
    def treatments(self) -> list[str]:
        """The other arms."""
        return [arm for arm in self.arms if arm != self.baseline_arm]

    @property
    def cells(self) -> list[dict[str, Any]]:
        """Every combination of the factors' values; one empty one without factors."""
        return [dict(zip(self.factors, values, strict=True)) for values in itertools.product(*self.factors.values())]

    def config(self, arm: str, seed: int, cell: Mapping[str, Any]) -> RunConfig:
        """The resolved config of an episode, its paths absolute. Raises `ConfigError` that names the arm."""
        data = json.loads(json.dumps(self.base))
        for key, value in {**self.arms[arm], **cell, "seed": seed}.items():
            set_key(data, key, value)
        return absolute_paths(resolve_config(data, source=f"arm '{arm}'"))


_OWN = [name for name in Experiment.model_fields if name != "base"]


def load_experiment(path: Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment's YAML, apply `key=value` overrides and check it all.

    Raises `ConfigError` for what is wrong with it: unknown keys, a missing margin, one seed, an arm that changes nothing, a
    pairing that contradicts the arms.
    """
    data, lines = load_yaml(path)
    apply_overrides(data, overrides)
    return experiment_from(data, Source(str(path), lines))


def experiment_from(data: Mapping[str, Any], where: Source) -> Experiment:
    """The experiment that a mapping describes, checked."""
    plain = {key: value for key, value in data.items() if key in _OWN}
    plain["base"] = {key: value for key, value in data.items() if key not in _OWN}
    try:
        experiment = Experiment.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        raise ConfigError(worded(error, Experiment, where)) from error
    _check(experiment, where)
    return experiment.model_copy(
        update={"baseline": experiment.baseline_arm}
    )  # the order of keys must not decide it later


def _check(experiment: Experiment, where: Source) -> None:
    at = where.at(())
    seeds = experiment.seed_list
    if len(seeds) < 2 or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ConfigError(
            f"{at}seeds: {experiment.seeds} gives {len(set(seeds))} pair(s); a comparison needs two different seeds at least, "
            "six for a verdict, and twelve are usual."
        )
    if experiment.baseline is not None and experiment.baseline not in experiment.arms:
        raise ConfigError(
            f"{at}baseline: there is no arm '{experiment.baseline}'. The arms are {', '.join(experiment.arms)}."
        )
    if any("/" in arm or arm.startswith(".") or not arm for arm in experiment.arms):
        raise ConfigError(
            f"{at}arms: a name becomes a folder, so it is not empty, has no '/' and does not begin with a dot."
        )
    resolve_config(experiment.base, source=f"{at}the base config")
    for arm in experiment.arms:
        for cell in experiment.cells:
            experiment.config(arm, seeds[0], cell)
    configs = {arm: canonical_json(experiment.config(arm, seeds[0], experiment.cells[0])) for arm in experiment.arms}
    for arm, config in configs.items():
        twins = [other for other in configs if other < arm and configs[other] == config]
        if twins:
            raise ConfigError(
                f"{at}arms: '{arm}' and '{twins[0]}' describe the same run. An arm is a policy of its own."
            )
    _check_derived(experiment, at)
    _check_pairing(experiment, at)


def _check_derived(experiment: Experiment, at: str) -> None:
    derived = experiment.derived
    if derived is None:
        if experiment.factors and experiment.claim.metric == "sensitivity":
            raise ConfigError(f"{at}claim.metric: 'sensitivity' is derived; say over which factor under 'derived'.")
        return
    if derived.over not in experiment.factors or len(experiment.factors) != 1:
        raise ConfigError(f"{at}derived.over: '{derived.over}' must be the experiment's one factor.")


def _check_pairing(experiment: Experiment, at: str) -> None:
    pairing = experiment.pairing
    if (pairing.at is not None) != (pairing.name == "fork"):
        raise ConfigError(f"{at}pairing.at: the step at which arms part; a fork needs one, and '{pairing.name}' takes "
                          f"{'one' if pairing.name == 'fork' else 'none'}.")  # fmt: skip
    if pairing.name == "seed":
        return
    base = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    if pairing.at is not None and pairing.at >= base.episode.steps:
        raise ConfigError(f"{at}pairing.at: {pairing.at} is not before the last step, {base.episode.steps}.")
    for arm in experiment.treatments:
        other = experiment.config(arm, experiment.seed_list[0], experiment.cells[0])
        same = other.model_copy(update={"episode": base.episode})
        if same != base:
            raise ConfigError(
                f"{at}pairing: arm '{arm}' differs from '{experiment.baseline_arm}' in more than the episode; what a fork "
                "shares (model, data, faults, hooks, monitor) cannot differ. Use pairing {name: seed}."
            )
        if pairing.name == "lazy_fork":
            _check_lazy(experiment, at, arm, base, other)


def _check_lazy(experiment: Experiment, at: str, arm: str, base: RunConfig, other: RunConfig) -> None:
    if base.episode.regime_controller is not None:
        raise ConfigError(
            f"{at}pairing: a lazy fork's baseline ('{experiment.baseline_arm}') has no regime controller."
        )
    allowed = {"regime_controller": None, "rewind": base.episode.rewind}
    if other.episode.model_copy(update=allowed) != base.episode.model_copy(update=allowed):
        raise ConfigError(
            f"{at}pairing: arm '{arm}' differs from '{experiment.baseline_arm}' in more than its regime controller, so it is "
            "another run from its first step on. Use pairing {name: seed} or {name: fork, at: STEP}."
        )
    if other.episode.regime_controller is None:
        raise ConfigError(f"{at}pairing: arm '{arm}' has no regime controller, so a lazy fork would never start it.")

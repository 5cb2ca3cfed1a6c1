"""What an experiment's design may not be."""

from trimtab.config import ConfigError, RunConfig, canonical_json, resolve_config
from trimtab.experiments.spec import Experiment


def check(experiment: Experiment, at: str) -> None:
    """Refuse a design that contradicts itself. `at` says where it stands. Raises `ConfigError`."""
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
    _check_tune(experiment, at)
    fixed = [arm for arm in experiment.arms if arm not in experiment.tune]
    configs = {arm: canonical_json(experiment.config(arm, seeds[0], experiment.cells[0])) for arm in fixed}
    for arm, config in configs.items():
        twins = [other for other in configs if other < arm and configs[other] == config]
        if twins:
            raise ConfigError(
                f"{at}arms: '{arm}' and '{twins[0]}' describe the same run. An arm is a policy of its own."
            )
    _check_derived(experiment, at)
    _check_pairing(experiment, at)


def _check_tune(experiment: Experiment, at: str) -> None:
    seeds = experiment.seed_list
    for arm, tune in experiment.tune.items():
        if arm not in experiment.treatments:
            raise ConfigError(f"{at}tune: '{arm}' is not a treatment. They are {', '.join(experiment.treatments)}.")
        if experiment.factors:
            raise ConfigError(
                f"{at}tune: an arm cannot be tuned in an experiment with factors; make the factor an arm."
            )
        if shared := sorted(set(seeds) & set(tune.seeds)):
            raise ConfigError(
                f"{at}tune.{arm}.seeds: {shared} are seeds of the experiment too; what is judged on the runs that chose it "
                "looks better than it is."
            )
        runs = len(tune.candidates) * len(tune.seeds)
        if runs > len(seeds):
            raise ConfigError(
                f"{at}tune.{arm}: {len(tune.candidates)} candidates on {len(tune.seeds)} seed(s) are {runs} runs, and an arm "
                f"has {len(seeds)}: it would be given more compute than it is held against. Take fewer candidates."
            )
        for candidate in tune.candidates:
            config = experiment.model_copy(
                update={"arms": {**experiment.arms, arm: {**experiment.arms[arm], **candidate}}}
            ).config(arm, seeds[0], {})
            if config.episode.regime_controller is not None:
                raise ConfigError(f"{at}tune.{arm}: a tuned arm is a static one, and has no regime controller.")


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
        if experiment.runs_alone(arm):
            continue
        same = other.model_copy(update={"episode": base.episode})
        if same != base:
            raise ConfigError(
                f"{at}pairing: arm '{arm}' differs from '{experiment.baseline_arm}' in more than the episode; what a fork "
                "shares (model, data, faults, hooks, monitor) cannot differ. Use pairing {name: seed}."
            )
        if pairing.name == "lazy_fork":
            _check_lazy(experiment, at, arm, base, other)
    if all(experiment.runs_alone(arm) for arm in experiment.treatments):
        raise ConfigError(
            f"{at}pairing: no arm has a regime controller, so a lazy fork would never start. Use pairing {{name: seed}}."
        )


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

"""What an experiment's design may not be."""

import difflib

from trimtab.config import REGISTRIES, ConfigError, RunConfig, canonical_json, missing_paths
from trimtab.evidence.rule import FEWEST_PAIRS
from trimtab.experiments.memory_episodes import check_memory
from trimtab.experiments.spec import Experiment

FIGURES = (
    "val_loss",
    "val_accuracy",
    "val_calibration_error",
    "best_val_loss",
    "best_step",
    "train_loss",
    "tokens",
    *(
        f"stability.{name}"
        for name in (
            "skipped_steps",
            "flagged_steps",
            "unstable_steps",
            "largest_loss_rise",
            "largest_grad_norm",
            "loss_volatility",
            "rewinds",
        )
    ),
)
"""Figures of every episode's summary that a claim may name."""


EXAM_FIGURES = (
    "answer_loss",
    "confidence",
    *(f"calibration.{name}.value" for name in ("ece", "ece_mass", "debiased", "smooth_ece", "brier", "nll", "aurc")),
)
"""Figures of every task's exam (`exam.NAME`)."""

TRUTH_FIGURES = tuple(
    f"truth.{name}.value" for name in ("kl", "total_variation", "ece_to_truth", "confidence_error", "confidence_bias")
)
"""Figures of the exam of a task that knows the exact distribution of its answers."""


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
    if any(len(arm) > 100 for arm in experiment.arms):
        raise ConfigError(f"{at}arms: a name becomes a folder, so it has 100 characters at most.")
    if any(not values for values in experiment.factors.values()):
        raise ConfigError(f"{at}factors: a factor needs a value at least.")
    _check_cells(experiment, at)
    experiment.resolved(experiment.base, f"{at}the base config")
    for arm in experiment.arms:
        for cell in experiment.cells:
            experiment.episode_config(arm, seeds[0], cell)
    _check_files(experiment, at)
    if experiment.episodes == "training":
        _check_tune(experiment, at)
    fixed = [arm for arm in experiment.arms if arm not in experiment.tune]
    configs = {arm: canonical_json(experiment.episode_config(arm, seeds[0], experiment.cells[0])) for arm in fixed}
    for arm, config in configs.items():
        twins = [other for other in configs if other < arm and configs[other] == config]
        if twins:
            raise ConfigError(
                f"{at}arms: '{arm}' and '{twins[0]}' describe the same run. An arm is a policy of its own."
            )
    _check_pairs(experiment, at)
    if experiment.episodes == "memory":
        check_memory(experiment, at)
        return
    _check_metric(experiment, at)
    _check_derived(experiment, at)
    _check_pairing(experiment, at)
    _check_plan(experiment, at)


def _check_files(experiment: Experiment, at: str) -> None:
    """A file that is not there is found before the episodes are run, not by each of them."""
    for arm in experiment.arms:
        for cell in experiment.cells:
            missing = missing_paths(experiment.episode_config(arm, experiment.seed_list[0], cell))
            if missing:
                key, path = missing[0]
                models = (
                    " or import a model by that name (`trimtab models import`)"
                    if key.startswith(("model.", "data.tokenizer."))
                    else ""
                )
                raise ConfigError(
                    f"{at}{key}: there is no file or folder {path} (arm '{arm}'). Name one that exists{models}."
                )


def _check_cells(experiment: Experiment, at: str) -> None:
    for key, values in experiment.factors.items():
        if len({canonical_json(value) for value in values}) != len(values):
            raise ConfigError(f"{at}factors.{key}: a value stands twice; each is a cell of its own.")
    for arm, overrides in experiment.arms.items():
        if taken := sorted(key for key in overrides if key in (*experiment.factors, "seed")):
            raise ConfigError(
                f"{at}arms.{arm}: {', '.join(taken)} is set by the experiment's factors and seeds, and would be overwritten."
            )


def _check_metric(experiment: Experiment, at: str) -> None:
    """A figure that no episode will have is found before the episodes are run."""
    metric = experiment.claim.metric
    config = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    instruments = [f"instruments.{instrument.name}." for instrument in config.monitor.instruments]
    known = [*FIGURES, *_exam_figures(config), *(["sensitivity"] if experiment.derived is not None else [])]
    if metric in known or any(metric.startswith(prefix) for prefix in instruments):
        return
    if metric == "sensitivity":
        raise ConfigError(f"{at}claim.metric: 'sensitivity' is derived; say over which factor under 'derived'.")
    near = difflib.get_close_matches(metric, known, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(
        f"{at}claim.metric: no episode has a figure '{metric}'.{hint} They are {', '.join(known)}, and "
        "instruments.NAME.FIELD of those that monitor.instruments names."
    )


def _exam_figures(config: RunConfig) -> list[str]:
    """The figures of the exam that the config's task will hold; those that only some tasks have are let through."""
    if config.data.task is None or not config.episode.exam.problems:
        return []
    task = REGISTRIES["task"].load(config.data.task.name)
    own = getattr(task, "figures", ())
    own = own if isinstance(own, tuple) else ("exact_match",)
    sampled = ["agreement"] if config.episode.exam.samples else []
    return [f"exam.{name}" for name in (*own, *EXAM_FIGURES, *TRUTH_FIGURES, *sampled)]


def _check_pairs(experiment: Experiment, at: str) -> None:
    seeds, budget = len(experiment.seed_list), experiment.budget.pairs
    if budget is not None and (not experiment.sequential or budget > seeds):
        raise ConfigError(
            f"{at}budget.pairs: a bound for a sequential experiment, of its {seeds} seeds at most; found {budget}"
            f"{'' if experiment.sequential else ', and the experiment is not sequential'}."
        )
    if experiment.sequential and experiment.claim.scale == "trimmed":
        raise ConfigError(f"{at}claim.scale: a trimmed claim cannot be judged sequentially. Use plain or log.")
    if experiment.sequential and (budget or seeds) < FEWEST_PAIRS:
        raise ConfigError(
            f"{at}seeds: a sequential experiment never decides under {FEWEST_PAIRS} pairs; found {budget or seeds}."
        )


def _check_plan(experiment: Experiment, at: str) -> None:
    seeds = len(experiment.seed_list)
    config = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    if experiment.noise_floor and not 2 <= experiment.noise_floor <= seeds:
        raise ConfigError(
            f"{at}noise_floor: a spread takes 2 pairs at least, of the {seeds} seeds; found {experiment.noise_floor}."
        )
    if experiment.noise_floor and config.model.spec.get("dropout") == 0:
        raise ConfigError(
            f"{at}noise_floor: the model draws no dropout, so its copies would be the baseline itself. Leave it out."
        )
    steered = [arm for arm in experiment.treatments
               if experiment.config(arm, experiment.seed_list[0], experiment.cells[0]).episode.regime_controller]  # fmt: skip
    if experiment.twins is not None and not steered:
        raise ConfigError(f"{at}twin: no arm has a regime controller, so there is no intervention to look at.")


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
        return
    if derived.over not in experiment.factors or len(experiment.factors) != 1:
        raise ConfigError(f"{at}derived.over: '{derived.over}' must be the experiment's one factor.")


def _check_pairing(experiment: Experiment, at: str) -> None:
    pairing = experiment.pairing
    if (pairing.at is not None) != (pairing.name == "fork"):
        raise ConfigError(f"{at}pairing.at: the step at which arms part; a fork needs one, and no other pairing "
                          f"takes one (found '{pairing.name}').")  # fmt: skip
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

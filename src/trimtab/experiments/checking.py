"""Checks of an experiment's design, before anything is run."""

import math
from collections.abc import Mapping

from trimtab.boundary import folder_name, printable, shortened
from trimtab.config import ConfigError, canonical_json, missing_paths
from trimtab.evidence.claims import LEVELS, is_level
from trimtab.evidence.rule import FEWEST_PAIRS
from trimtab.experiments.spec import Experiment
from trimtab.experiments.verdicts.claimable import check_figures
from trimtab.records.experiment_spec import Pairing
from trimtab.records.places import cell_folder
from trimtab.training.config import RunConfig

MOST_PAIRS = 10_000
MOST_EPISODES = 1_000_000
LARGEST_SEED = 2**63 - 1
LONGEST_NAME = 300


def check(experiment: Experiment, at: str) -> None:
    """Raise `ConfigError`, which begins with `at`, for a design that contradicts itself or cannot be run."""
    _check_size(experiment, at)
    seeds = experiment.seed_list
    if len(seeds) < 2 or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ConfigError(
            f"{at}seeds: {experiment.seeds} gives {len(set(seeds))} pair(s). A comparison needs at least two different seeds, "
            "a verdict at least six; twelve are usual."
        )
    if experiment.baseline is not None and experiment.baseline not in experiment.arms:
        raise ConfigError(
            f"{at}baseline: there is no arm '{experiment.baseline}'. The arms are {', '.join(experiment.arms)}."
        )
    _check_names(experiment, at)
    _check_cells(experiment, at)
    experiment.resolved(experiment.base, f"{at}the base config")
    for arm in experiment.arms:
        for cell in experiment.cells:
            experiment.episode_config(arm, seeds[0], cell)
    _check_files(experiment, at)
    if experiment.run_kind.steps:
        _check_tune(experiment, at)
    else:
        _check_without_steps(experiment, at)
    fixed = [arm for arm in experiment.arms if arm not in experiment.tune]
    configs = {arm: canonical_json(experiment.episode_config(arm, seeds[0], experiment.cells[0])) for arm in fixed}
    for arm, config in configs.items():
        same = [other for other in configs if other < arm and configs[other] == config]
        if same:
            raise ConfigError(f"{at}arms: '{arm}' and '{same[0]}' have the same config. Change or remove one.")
    _check_pairs(experiment, at)
    check_figures(experiment, at)
    if experiment.run_kind.steps:
        _check_pairing(experiment, at)
        _check_plan(experiment, at)


def _check_without_steps(experiment: Experiment, at: str) -> None:
    """Raise `ConfigError` for keys that need runs made of training steps."""
    of_steps = {
        "tune": bool(experiment.tune),
        "noise_floor": bool(experiment.noise_floor),
        "intervention_effects": experiment.interventions is not None,
        "derived": experiment.derived is not None,
        "pairing": experiment.pairing != Pairing(),
    }
    if present := [key for key, value in of_steps.items() if value]:
        raise ConfigError(
            f"{at}{present[0]}: this key works only for training runs, but `episodes` is '{experiment.episodes}'. Remove the "
            "key; such runs are paired by their seeds."
        )


def _check_size(experiment: Experiment, at: str) -> None:
    """Raise `ConfigError` for a design with too many episodes, before lists of them are made."""
    count = experiment.seeds if isinstance(experiment.seeds, int) else len(experiment.seeds)
    for key, values in experiment.factors.items():
        if not values:
            raise ConfigError(f"{at}factors.{key}: a factor needs at least one value.")
    cells = math.prod(len(values) for values in experiment.factors.values())
    episodes = count * cells * len(experiment.arms)
    if count > MOST_PAIRS or episodes > MOST_EPISODES:
        raise ConfigError(
            f"{at}seeds: {count:,} seeds of {len(experiment.arms):,} arms and {cells:,} cells are {episodes:,} episodes. An "
            f"experiment has at most {MOST_PAIRS:,} seeds and {MOST_EPISODES:,} episodes."
        )
    listed_seeds = [] if isinstance(experiment.seeds, int) else experiment.seeds
    for seed in (*listed_seeds, *(seed for tune in experiment.tune.values() for seed in tune.seeds)):
        if not 0 <= seed <= LARGEST_SEED:
            raise ConfigError(
                f"{at}seeds: a seed is a whole number from 0 to 2⁶³ − 1; found {shortened(str(seed), 40)}."
            )


def _check_names(experiment: Experiment, at: str) -> None:
    """Raise `ConfigError` for names that cannot name a folder, or that would share one on a file system that ignores case."""
    for arm in experiment.arms:
        if not arm.strip() or len(arm) > LONGEST_NAME or printable(arm) != arm:
            raise ConfigError(
                f"{at}arms: '{shortened(printable(arm), 60)}' is not a name for an arm. A name has 1 to {LONGEST_NAME} printable "
                "characters."
            )
    _check_distinct(f"{at}arms", {arm: folder_name(arm) for arm in experiment.arms})
    for key, values in experiment.factors.items():
        _check_distinct(f"{at}factors.{key}", {canonical_json(value): cell_folder(key, value) for value in values})


def _check_distinct(where: str, folders: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, folder in folders.items():
        other = seen.setdefault(folder.casefold(), name)
        if other != name:
            raise ConfigError(
                f"{where}: '{shortened(printable(other), 60)}' and '{shortened(printable(name), 60)}' would share a folder on a "
                "file system that ignores case. Rename one."
            )


def _check_files(experiment: Experiment, at: str) -> None:
    """Raise `ConfigError` for a file that an arm needs and that does not exist."""
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
            raise ConfigError(f"{at}factors.{key}: a value is listed twice. Remove one.")
    for arm, overrides in experiment.arms.items():
        if taken := sorted(key for key in overrides if key in (*experiment.factors, "seed")):
            raise ConfigError(
                f"{at}arms.{arm}: {', '.join(taken)} is set by the experiment's factors and seeds. Remove it from the arm."
            )


def _check_pairs(experiment: Experiment, at: str) -> None:
    seeds, budget = len(experiment.seed_list), experiment.budget.pairs
    if budget is not None and not experiment.sequential:
        raise ConfigError(
            f"{at}budget.pairs: it is set, but only a sequential experiment (`sequential: true`) has such a limit."
        )
    if budget is not None and budget > seeds:
        raise ConfigError(f"{at}budget.pairs: it is {budget}, but it must not exceed the number of seeds, {seeds}.")
    share = experiment.claim.alpha / len(experiment.treatments)
    if experiment.sequential and not is_level(share):
        raise ConfigError(
            f"{at}claim.alpha: divided among {len(experiment.treatments)} treatments it is {share:g} each, and a level must be "
            f"{LEVELS}."
        )
    if experiment.sequential and experiment.claim.scale == "trimmed":
        raise ConfigError(f"{at}claim.scale: a trimmed claim cannot be judged sequentially. Use plain or log.")
    if experiment.sequential and (budget or seeds) < FEWEST_PAIRS:
        raise ConfigError(
            f"{at}seeds: a sequential experiment needs at least {FEWEST_PAIRS} pairs to decide; found {budget or seeds}."
        )


def _check_plan(experiment: Experiment, at: str) -> None:
    seeds = len(experiment.seed_list)
    config = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    if experiment.noise_floor and not 2 <= experiment.noise_floor <= seeds:
        raise ConfigError(f"{at}noise_floor: it should be from 2 to the {seeds} seeds; found {experiment.noise_floor}.")
    if experiment.noise_floor and config.model.spec.get("dropout") == 0:
        raise ConfigError(
            f"{at}noise_floor: the model has no dropout, so the baseline's copies would be identical to it. Remove the key."
        )
    if experiment.interventions is not None and not experiment.steered_arms:
        raise ConfigError(
            f"{at}intervention_effects: no arm has a regime controller, so there is no intervention to measure. Remove the key."
        )


def _check_tune(experiment: Experiment, at: str) -> None:
    seeds = experiment.seed_list
    for arm, tune in experiment.tune.items():
        if arm not in experiment.treatments:
            raise ConfigError(f"{at}tune: '{arm}' is not a treatment. They are {', '.join(experiment.treatments)}.")
        if experiment.factors:
            raise ConfigError(
                f"{at}tune: an arm cannot be tuned in an experiment with factors. Make each value of the factor an arm."
            )
        if shared := sorted(set(seeds) & set(tune.seeds)):
            raise ConfigError(
                f"{at}tune.{arm}.seeds: {shared} are seeds of the experiment too, and an arm looks too good on the "
                "seeds it was tuned on. Choose others."
            )
        if "seed" in tune.over or not all(tune.over.values()) or len(set(tune.seeds)) < len(tune.seeds):
            raise ConfigError(
                f"{at}tune.{arm}: every key under 'over' needs at least one value, none may be 'seed', and no seed may be listed "
                "twice."
            )
        count = math.prod(len(values) for values in tune.over.values())
        runs = count * len(tune.seeds)
        if runs > len(seeds):
            raise ConfigError(
                f"{at}tune.{arm}: {count:,} candidates on {len(tune.seeds)} seed(s) need {runs} runs, more than the "
                f"{len(seeds)} of an arm. Tuning may not cost more than the arms that it is compared with. Use fewer "
                "candidates."
            )
        for candidate in tune.candidates:
            config = experiment.model_copy(
                update={"arms": {**experiment.arms, arm: {**experiment.arms[arm], **candidate}}}
            ).config(arm, seeds[0], {})
            if config.episode.regime_controller is not None:
                raise ConfigError(f"{at}tune.{arm}: a tuned arm cannot have a regime controller.")


def _check_pairing(experiment: Experiment, at: str) -> None:
    pairing = experiment.pairing
    if (pairing.at is not None) != (pairing.name == "fork"):
        raise ConfigError(
            f"{at}pairing.at: set it with the pairing 'fork', and only with it: the step after which the arms differ. The "
            f"pairing is '{pairing.name}'."
        )
    if pairing.name == "seed":
        return
    base = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    _check_fork_step(experiment, at)
    for arm in experiment.treatments:
        other = experiment.config(arm, experiment.seed_list[0], experiment.cells[0])
        if experiment.runs_alone(arm):
            continue
        same = other.model_copy(update={"episode": base.episode})
        if same != base:
            raise ConfigError(
                f"{at}pairing: arm '{arm}' differs from '{experiment.baseline_arm}' in more than the episode, and "
                "a fork shares model, data, faults, hooks and monitor. Use pairing {name: seed}."
            )
        if pairing.name == "lazy_fork":
            _check_lazy(experiment, at, arm, base, other)
    if all(experiment.runs_alone(arm) for arm in experiment.treatments):
        raise ConfigError(
            f"{at}pairing: no arm has a regime controller, so a lazy fork would never start. Use pairing {{name: seed}}."
        )


def _check_fork_step(experiment: Experiment, at: str) -> None:
    fork_step = experiment.pairing.at
    for arm in experiment.arms:
        for cell in experiment.cells:
            steps = experiment.config(arm, experiment.seed_list[0], cell).episode.steps
            if fork_step is not None and fork_step >= steps:
                raise ConfigError(
                    f"{at}pairing.at: {fork_step} is not before the last step ({steps}) of the arm '{arm}'."
                )


def _check_lazy(experiment: Experiment, at: str, arm: str, base: RunConfig, other: RunConfig) -> None:
    if base.episode.regime_controller is not None:
        raise ConfigError(
            f"{at}pairing: with the pairing lazy_fork the baseline ('{experiment.baseline_arm}') must not have a regime "
            "controller. Remove it, or use {name: seed}."
        )
    allowed = {"regime_controller": None, "rewind": base.episode.rewind}
    if other.episode.model_copy(update=allowed) != base.episode.model_copy(update=allowed):
        raise ConfigError(
            f"{at}pairing: arm '{arm}' differs from '{experiment.baseline_arm}' in more than its regime controller, so it is "
            "another run from its first step on. Use pairing {name: seed} or {name: fork, at: STEP}."
        )

"""Checks of a search's config before its first run."""

from collections.abc import Iterator, Sequence

from trimtab.config import ConfigError
from trimtab.config.wording import Source
from trimtab.experiments.searching.components import POLICIES
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.parts import metric_of, optimizer_of, pauses, run_config, scheduler_of, space_of
from trimtab.experiments.searching.recorded import check_table, recorded_of, with_table
from trimtab.search import Choice, Number, Space
from trimtab.search.space import Settings
from trimtab.training.checks import check_run


def check_search(config: SearchConfig, where: Source) -> None:
    """Raise `ConfigError` for a search that cannot be made; `config` is resolved.

    Every bound and every choice of the space is resolved in the config of a run. On a table of recorded runs there is nothing
    to resolve.
    """
    if config.table is not None:
        _check_recorded(with_table(config, where), where)
        return
    check_run(config.run, Source(f"{where.name}, run"))
    if config.run.seed != 0:
        raise ConfigError(
            f"{where.at(('run', 'seed'))}the seeds of the runs follow from the search's own `seed`. Leave this one out."
        )
    space = space_of(config, where)
    for key in config.space:
        _check_key(config, key, where)
    _refuse_overwritten(config, where)
    for key, settings in _corners(space):
        try:
            run_config(config, settings, 0, "")
        except ConfigError as error:
            words = str(error).removeprefix(": ")
            given = ", ".join(f"{name} = {value!r}" for name, value in settings.items())
            raise ConfigError(
                f"{where.at(('space', key))}no run can have the settings {given}: {words}{_advice(space, key, words)}"
            ) from error
    metric_of(config, where)
    scheduler = scheduler_of(config, optimizer_of(config, space, where), where)
    if pauses(config):
        if config.probe is not None and config.scheduler.name in POLICIES:
            raise ConfigError(f"{where.at(('probe',))}the budget of a policy has no steps for probes. Leave it out.")
        _check_pauses(config, scheduler.pauses, where)
    elif config.probe is not None:
        raise ConfigError(
            f"{where.at(('probe',))}it evaluates runs that pause, and with the scheduler '{config.scheduler.name}' none does. "
            "Leave it out, or use `rungs` or `population`."
        )


def _check_recorded(config: SearchConfig, where: Source) -> None:
    recorded = recorded_of(config, where)
    assert recorded is not None
    metric_of(config, where)
    check_table(config, scheduler_of(config, optimizer_of(config, recorded.space, where), where), where)


def _check_key(config: SearchConfig, key: str, where: Source) -> None:
    at = where.at(("space", key))
    if key == "seed":
        raise ConfigError(
            f"{at}the best of several seeds is luck, not a setting. The search gives the runs their seeds."
        )
    policy = config.scheduler.name in POLICIES
    if (pauses(config) or policy) and key in ("episode", "episode.steps", "episode.evaluate_every"):
        raise ConfigError(
            f"{at}with the scheduler '{config.scheduler.name}', all runs have the same length and are evaluated at the same "
            "steps."
        )
    if config.scheduler.name == "population" and key in ("episode.optimizer", "episode.optimizer.name"):
        raise ConfigError(
            f"{at}the members of a population exchange the state of their optimiser, so they have the same one."
        )
    if config.scheduler.name == "population" and not key.startswith("episode."):
        raise ConfigError(
            f"{at}the members of a population exchange weights, so they can differ in keys of `episode` only."
        )


def _refuse_overwritten(config: SearchConfig, where: Source) -> None:
    """Refuse a key whose value a later key replaces."""
    keys = list(config.space)
    for place, key in enumerate(keys):
        for later in keys[place + 1 :]:
            if key.startswith(f"{later}."):
                raise ConfigError(
                    f"{where.at(('space', key))}{later}, which comes after it, replaces its value. List it after {later}."
                )


def _corners(space: Space) -> Iterator[tuple[str, Settings]]:
    """For each key, settings at its bounds or with each of its choices; the other keys are in the middle, or at their first
    choice that uses the key.
    """
    middle = {
        key: one.values[0] if isinstance(one, Choice) else one.value(0.5) for key, one in space.parameters.items()
    }
    for key, parameter in space.parameters.items():
        ends = parameter.values if isinstance(parameter, Choice) else (parameter.value(0.0), parameter.value(1.0))
        wanted = _needed(space, key)
        for value in ends:
            settings: Settings = {}
            for name in space.parameters:
                if space.used(name, settings):
                    settings[name] = value if name == key else wanted.get(name, middle[name])
            yield key, settings


def _advice(space: Space, key: str, problem: str) -> str:
    """What may make settings possible that were refused for a problem."""
    parameter = space.parameters[key]
    if "there is no key" in problem:
        return " If this key exists only with some choices of another one, add a `when`."
    if isinstance(parameter, Number) and not parameter.whole and "a whole number; found" in problem:
        return " For whole numbers, add `whole: true` to the key."
    return ""


def _needed(space: Space, key: str) -> Settings:
    """Choices of other keys with which a key is used."""
    needed: Settings = {}
    for parent, values in (space.parameters[key].when or {}).items():
        needed |= {**_needed(space, parent), parent: values[0]}
    return needed


def _check_pauses(config: SearchConfig, steps: Sequence[int], where: Source) -> None:
    episode = config.run.episode
    for step in [*steps, episode.steps]:
        if step % episode.evaluate_every:
            raise ConfigError(
                f"{where.at(('scheduler',))}runs pause at step {step}, where they are not evaluated: run.episode.evaluate_every "
                f"is {episode.evaluate_every}. Each pause, and the length of a run, must be a multiple of it."
            )
    if config.scheduler.name == "population" and episode.early_stopping is not None:
        raise ConfigError(
            f"{where.at(('run', 'episode', 'early_stopping'))}the members of a population train together to the last step. Leave "
            "it out."
        )
    if config.probe is not None:
        _check_probe(config, max(steps), where)


def _check_probe(config: SearchConfig, last: int, where: Source) -> None:
    """Refuse a probe of runs whose rate falls before their last pause, at step `last`."""
    episode, at = config.run.episode, where.at(("probe",))
    given = [
        config.space[key].values or () for key in ("episode.schedule", "episode.schedule.name") if key in config.space
    ]
    chosen = [value["name"] if isinstance(value, dict) else value for values in given for value in values]
    for name in chosen or [episode.schedule.name]:
        if name not in ("constant", "wsd"):
            raise ConfigError(
                f"{at}it needs a rate that is constant until the last pause: run.episode.schedule must be constant or wsd, but "
                f"it is {name}."
            )
    decays = [episode.schedule.spec.get("decay", 0.0)]
    if (key := config.space.get("episode.schedule.decay")) is not None:
        decays = [float(value) for value in key.values or (key.high,) if value is not None]
    begins = episode.steps - max(1, round(max(decays) * episode.steps))
    if max(decays) > 0 and begins < last:
        raise ConfigError(
            f"{at}it needs a rate that is constant until the last pause, at step {last}, but with a decay of {max(decays):g} it "
            f"falls from step {begins} on. Make the decay at most {(episode.steps - last) / episode.steps:.3g}."
        )

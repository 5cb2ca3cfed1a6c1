"""Searches on a table of recorded runs, which take a moment, because they train nothing."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.boundary import user_path
from trimtab.config import ConfigError
from trimtab.config.wording import Source
from trimtab.experiments.jobs import Job
from trimtab.experiments.searching.config import KeyConfig, SearchConfig
from trimtab.experiments.searching.values import Outcome
from trimtab.random import derive_seed
from trimtab.records import environment
from trimtab.search import Space
from trimtab.search.scheduler import Found, Scheduler, Work
from trimtab.search.table import RecordedSpace, Table, read_table
from trimtab.training.config import RunConfig, resolve_config
from trimtab.training.runs.conditions import Conditions

NOWHERE = Source("the search")


class RecordedRuns:
    """The runs of a table, for one search.

    The search's seed puts the table's seeds in an order: its trials use them from the first on, its confirmation from the last
    on.
    """

    def __init__(self, table: Table, sha256: str, seed: int, confirmed: int) -> None:
        self.table, self.sha256, self.confirmed = table, sha256, confirmed
        self._recorded = RecordedSpace(table)
        self.space: Space = self._recorded
        random = np.random.Generator(np.random.PCG64(derive_seed(seed, "search", "table")))
        self.order = [int(number) for number in random.permutation(table.seeds)]

    def seed(self, work: Work) -> int:
        """The table's seed of some work's run."""
        return self.order[work.seed]

    def jobs(self, work: Work) -> list[Job]:
        """None: the runs were made."""
        del work
        return []

    def outcome(self, work: Work) -> Outcome:
        """The outcome of some work, whose settings are recorded ones."""
        return self._outcome(work.settings, self.seed(work), work.start, work.end)

    def took(self, work: Work, outcome: Outcome, scheduler: Scheduler) -> None:
        """There are no files."""

    def confirmation_seeds(self) -> list[int]:
        """The last seeds in the search's order."""
        return self.order[::-1][: self.confirmed]

    def confirmation_jobs(self, best: Found, seed: int) -> list[Job]:
        """None: the runs were made."""
        del best, seed
        return []

    def confirmation(self, best: Found, seed: int) -> Outcome:
        """The outcome of the best settings with a seed that the search did not use."""
        return self._outcome(best.settings, seed, 0, None)

    def took_confirmation(self, seed: int) -> None:
        """There are no files."""

    def end(self, best: Found) -> None:
        """There are no files."""

    def _outcome(self, settings: Mapping[str, Any], seed: int, start: int, end: int | None) -> Outcome:
        run = self.table.rows[self._recorded.row(settings)].runs[seed]
        steps = self.table.steps
        place = len(steps) - 1 if end is None else steps.index(end)
        status, reached = "completed" if place == len(steps) - 1 else "paused", steps[place]
        if run.diverged is not None and run.diverged <= reached:
            status, reached = "diverged", run.diverged
        before = run.tokens[steps.index(start)] if start else 0
        tokens = run.tokens[place]
        return Outcome(status, run.values[place], max(reached - start, 0), tokens - before, tokens, None)


def recorded_of(config: SearchConfig, where: Source = NOWHERE) -> RecordedRuns | None:
    """The runs that a search is to take its values from; None for one that trains. Raises `ConfigError`."""
    if config.table is None:
        return None
    table, sha256 = table_in(config.table, where.at(("table",)))
    return RecordedRuns(table, sha256, config.seed, config.confirm.seeds)


def with_table(config: SearchConfig, where: Source = NOWHERE) -> SearchConfig:
    """The config with the runs and the space of its table. Raises `ConfigError` where it has others, or for no table."""
    if config.table is None:
        return config
    table, _ = table_in(config.table, where.at(("table",)))
    space = {key: KeyConfig.model_validate(given.model_dump(), strict=False) for key, given in table.space.items()}
    run = _run_of(config.table)
    for key, own, recorded, usual in (
        ("space", config.space, space, {}),
        ("run", config.run, run, resolve_config({}, source="the default")),
    ):
        if own not in (recorded, usual):
            raise ConfigError(f"{where.at((key,))}it is that of the table, {config.table}. Leave it out.")
    if table.steps[-1] != run.episode.steps:
        raise ConfigError(
            f"The table {config.table} ends at step {table.steps[-1]}, but its runs at {run.episode.steps}."
        )
    if config.metric != table.metric:
        raise ConfigError(
            f"{where.at(('metric',))}the table {config.table} has '{table.metric}', not '{config.metric}'."
        )
    return config.model_copy(update={"run": run, "space": space})


def check_table(config: SearchConfig, scheduler: Scheduler, where: Source) -> None:
    """Raise `ConfigError` where a search asks for runs that its table does not have."""
    recorded = recorded_of(config, where)
    if recorded is None:
        return
    table, at = recorded.table, where.at(("scheduler",))
    if config.scheduler.name == "population":
        raise ConfigError(
            f"{at}the forks of a population change their settings during a run, and no table has such runs."
        )
    if config.probe is not None or config.fresh_seeds:
        key = "fresh_seeds" if config.fresh_seeds else "probe"
        raise ConfigError(f"{where.at((key,))}a table has no such runs. Leave it out.")
    if scheduler.seeds + config.confirm.seeds > table.seeds:
        raise ConfigError(
            f"{where.at(('confirm',))}the search uses up to {scheduler.seeds} seeds of a setting and "
            f"{config.confirm.seeds} fresh ones, but the table has {table.seeds}."
        )
    for step in scheduler.pauses:
        if step not in table.steps:
            steps = ", ".join(map(str, table.steps))
            raise ConfigError(f"{at}runs pause at step {step}, but the table has values at the steps {steps}.")


def conditions_of_table(config: SearchConfig) -> Conditions | None:
    """What decides the results of a search on a table; None for one that trains."""
    recorded = recorded_of(config)
    if recorded is None:
        return None
    assert isinstance(config.run.threads, int)
    here = environment(config.run.threads, config.run.episode.precision, config.run.device)
    return Conditions(config.run, recorded.sha256, None, [], [], here)


def table_in(path: Path | str, at: str = "") -> tuple[Table, str]:
    """The table in a file, and the file's SHA-256. Raises `ConfigError`, which begins with `at`."""
    file = user_path(path, "table")
    try:
        state = file.stat()
        return _cached(file, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise ConfigError(f"{at}the table {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{at}{path} is no table of recorded runs: {error}.") from error


@lru_cache(maxsize=4)
def _cached(path: Path, changed: int, size: int) -> tuple[Table, str]:
    del changed, size
    return read_table(path)


def _run_of(path: str) -> RunConfig:
    table, _ = table_in(path)
    try:
        return resolve_config({**table.run, "device": "cpu"}, source=path)
    except ConfigError as error:
        raise ConfigError(f"The runs of the table {path} have a config that Trimtab does not know: {error}") from error

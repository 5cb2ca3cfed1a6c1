"""Where a search takes the outcomes of its runs from: from training, or from a table."""

from typing import Protocol

from trimtab.experiments.jobs import Job
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.values import Outcome
from trimtab.search import Space
from trimtab.search.scheduler import Found, Scheduler, Work
from trimtab.search.space import Settings


class Runs(Protocol):
    """The runs of a search. Work without jobs has its outcome at once, other work when its last job has ended."""

    space: Space

    def seed(self, work: Work) -> int:
        """The seed of some work's run."""
        ...

    def jobs(self, work: Work) -> list[Job]:
        """The jobs that some work needs, one after the other."""
        ...

    def outcome(self, work: Work) -> Outcome:
        """The outcome of some work."""
        ...

    def took(self, work: Work, outcome: Outcome, scheduler: Scheduler) -> None:
        """The scheduler has received an outcome, so files that nothing needs any more can go."""
        ...

    def confirmation_seeds(self) -> list[int]:
        """Fresh seeds."""
        ...

    def confirmation_jobs(self, best: Found, seed: int) -> list[Job]:
        """The jobs that train the best settings with a fresh seed."""
        ...

    def confirmation(self, best: Found, seed: int) -> Outcome:
        """The outcome of the best settings with a fresh seed."""
        ...

    def took_confirmation(self, seed: int) -> None:
        """The outcome with a fresh seed is in the log."""
        ...

    def end(self, best: Found) -> None:
        """The search is complete."""
        ...


def steps_of(config: SearchConfig, settings: Settings) -> int:
    """The length of a run."""
    return int(settings.get("episode.steps", config.run.episode.steps))


def until_of(config: SearchConfig, work: Work) -> int | None:
    """The step at which some work pauses; None for the end of the run."""
    return None if work.end is None or work.end >= steps_of(config, work.settings) else work.end

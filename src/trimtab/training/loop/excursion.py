"""Work on a run's trainer that the run does not notice: steps on the side, taken back bit for bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from trimtab.data import BatchSource
from trimtab.runtime.checkpoint import Snapshot
from trimtab.runtime.logger import Logger, MemoryLogger
from trimtab.training.loop.faults import FaultSet
from trimtab.training.loop.passes import Passes
from trimtab.training.loop.state import TrainState
from trimtab.training.loop.update import Updater


class Loop(Protocol):
    """The parts of the trainer that an excursion uses."""

    state: TrainState
    logger: Logger
    updater: Updater
    passes: Passes
    faults: FaultSet

    def prepare(self) -> None:
        """Make the model ready for `step`."""
        ...

    def step(self, loader: BatchSource) -> tuple[str, str] | None:
        """Make one step."""
        ...


@contextmanager
def excursion(trainer: Loop) -> Iterator[MemoryLogger]:
    """While open, anything may be done with the trainer; on leaving, by an error too, its state is what it was, bit for bit.

    It computes in fp32 in between, records into the logger that it yields, and shows nothing to observers and instruments.
    """
    state, logger = trainer.state, trainer.logger
    home = state.snapshot().copied()
    aside = MemoryLogger()
    trainer.logger = aside
    state.hooks.muted = state.instruments.muted = True
    try:
        state.episode = state.episode.changed(precision="fp32")
        trainer.prepare()
        yield aside
    finally:
        trainer.updater.clear()
        state.restore(home)
        trainer.prepare()
        trainer.logger = logger
        state.hooks.muted = state.instruments.muted = False


class Futures:
    """How a run could go on from several states on the same future batches, by the trainer's own step.

    To be used in an excursion. Evaluations, early stopping and the end of a run are left out: a state goes on whatever its
    step says.
    """

    def __init__(self, trainer: Loop, loader: BatchSource) -> None:
        self.trainer, self.loader = trainer, loader
        self.begin = trainer.state.snapshot().copied()

    def step(self, state: Snapshot) -> Snapshot:
        """The state one step after `state`, which stays as it is."""
        self.trainer.state.restore(state)
        self.trainer.step(self.loader)
        return self.trainer.state.snapshot().copied()

"""Temporary use of a run's trainer: steps that are undone bit for bit."""

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
        """Prepare the model for `step`."""
        ...

    def step(self, loader: BatchSource) -> tuple[str, str] | None:
        """Make one step."""
        ...


@contextmanager
def excursion(trainer: Loop) -> Iterator[MemoryLogger]:
    """A context in which the trainer may be used in any way; at its end, also after an error, the state is restored bit for bit.

    Inside, the trainer computes in fp32 and records into the logger that this yields. Observers and instruments are not called.
    """
    state, logger = trainer.state, trainer.logger
    before = state.snapshot().copied()
    log = MemoryLogger()
    trainer.logger = log
    state.hooks.muted = state.instruments.muted = True
    try:
        state.episode = state.episode.changed(precision="fp32")
        trainer.prepare()
        yield log
    finally:
        trainer.updater.clear()
        state.restore(before)
        trainer.prepare()
        trainer.logger = logger
        state.hooks.muted = state.instruments.muted = False


class Continuations:
    """Continues a run from several states, on the same future batches, by the trainer's own step.

    For use in an excursion. There are no evaluations and no early stopping, and a step that would end the run does not end it.
    """

    def __init__(self, trainer: Loop, loader: BatchSource) -> None:
        self.trainer, self.loader = trainer, loader
        self.start = trainer.state.snapshot().copied()

    def step(self, state: Snapshot) -> Snapshot:
        """The state one step after `state`, which stays as it is."""
        self.trainer.state.restore(state)
        self.trainer.step(self.loader)
        return self.trainer.state.snapshot().copied()

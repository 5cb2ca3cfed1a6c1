"""The trainer, its state, checkpoints, hooks, optimisers and schedules; runs in folders."""

from trimtab.runtime.logger import Logger, MemoryLogger, RunLogger
from trimtab.training.forking import fork, fork_as
from trimtab.training.hook import GradientTransform, Hook, LearningRule, Modulator, Observer
from trimtab.training.hooks import HookSet
from trimtab.training.instruments import Instrument
from trimtab.training.lifecycle import Caller, resume, train
from trimtab.training.probe import Probe
from trimtab.training.replaying import Replay, replay
from trimtab.training.state import TrainState
from trimtab.training.trainer import Trainer

__all__ = [
    "Caller",
    "GradientTransform",
    "Hook",
    "HookSet",
    "Instrument",
    "LearningRule",
    "Logger",
    "MemoryLogger",
    "Modulator",
    "Observer",
    "Probe",
    "Replay",
    "RunLogger",
    "TrainState",
    "Trainer",
    "fork",
    "fork_as",
    "replay",
    "resume",
    "train",
]

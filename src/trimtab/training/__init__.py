"""The trainer, its state, hooks, optimisers and schedules; runs in folders."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names

if TYPE_CHECKING:
    from trimtab.runtime.context import RunContext
    from trimtab.runtime.logger import Logger, MemoryLogger, RunLogger
    from trimtab.training.config import RunConfig, load_config, resolve_config
    from trimtab.training.loop.hook import GradientTransform, Hook, LearningRule, Modulator, Observer
    from trimtab.training.loop.hooks import HookSet
    from trimtab.training.loop.instruments import Instrument
    from trimtab.training.loop.probe import Probe
    from trimtab.training.loop.state import TrainState
    from trimtab.training.loop.trainer import Trainer
    from trimtab.training.runs.forking import fork, fork_as
    from trimtab.training.runs.lifecycle import resume, train
    from trimtab.training.runs.replaying import Replay, replay

# Late, so that the config of a run can be read without torch.
__getattr__ = lazy_names(
    __name__,
    {
        "RunContext": "trimtab.runtime.context",
        "GradientTransform": "trimtab.training.loop.hook",
        "Hook": "trimtab.training.loop.hook",
        "HookSet": "trimtab.training.loop.hooks",
        "Instrument": "trimtab.training.loop.instruments",
        "LearningRule": "trimtab.training.loop.hook",
        "Logger": "trimtab.runtime.logger",
        "MemoryLogger": "trimtab.runtime.logger",
        "Modulator": "trimtab.training.loop.hook",
        "Observer": "trimtab.training.loop.hook",
        "Probe": "trimtab.training.loop.probe",
        "Replay": "trimtab.training.runs.replaying",
        "RunConfig": "trimtab.training.config",
        "RunLogger": "trimtab.runtime.logger",
        "TrainState": "trimtab.training.loop.state",
        "Trainer": "trimtab.training.loop.trainer",
        "fork": "trimtab.training.runs.forking",
        "fork_as": "trimtab.training.runs.forking",
        "load_config": "trimtab.training.config",
        "replay": "trimtab.training.runs.replaying",
        "resolve_config": "trimtab.training.config",
        "resume": "trimtab.training.runs.lifecycle",
        "train": "trimtab.training.runs.lifecycle",
    },
)

__all__ = [
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
    "RunConfig",
    "RunContext",
    "RunLogger",
    "TrainState",
    "Trainer",
    "fork",
    "fork_as",
    "load_config",
    "replay",
    "resolve_config",
    "resume",
    "train",
]

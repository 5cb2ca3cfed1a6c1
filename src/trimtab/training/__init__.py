"""The trainer, its state, hooks, optimisers and schedules; runs in folders."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names

if TYPE_CHECKING:
    from trimtab.runtime.context import RunContext
    from trimtab.runtime.logger import Logger, MemoryLogger, RunLogger
    from trimtab.training.config import RunConfig, load_config, resolve_config
    from trimtab.training.forking import fork, fork_as
    from trimtab.training.hook import GradientTransform, Hook, LearningRule, Modulator, Observer
    from trimtab.training.hooks import HookSet
    from trimtab.training.instruments import Instrument
    from trimtab.training.lifecycle import resume, train
    from trimtab.training.probe import Probe
    from trimtab.training.replaying import Replay, replay
    from trimtab.training.state import TrainState
    from trimtab.training.trainer import Trainer

# Late, so that the config of a run can be read without torch.
__getattr__ = lazy_names(
    __name__,
    {
        "RunContext": "trimtab.runtime.context",
        "GradientTransform": "trimtab.training.hook",
        "Hook": "trimtab.training.hook",
        "HookSet": "trimtab.training.hooks",
        "Instrument": "trimtab.training.instruments",
        "LearningRule": "trimtab.training.hook",
        "Logger": "trimtab.runtime.logger",
        "MemoryLogger": "trimtab.runtime.logger",
        "Modulator": "trimtab.training.hook",
        "Observer": "trimtab.training.hook",
        "Probe": "trimtab.training.probe",
        "Replay": "trimtab.training.replaying",
        "RunConfig": "trimtab.training.config",
        "RunLogger": "trimtab.runtime.logger",
        "TrainState": "trimtab.training.state",
        "Trainer": "trimtab.training.trainer",
        "fork": "trimtab.training.forking",
        "fork_as": "trimtab.training.forking",
        "load_config": "trimtab.training.config",
        "replay": "trimtab.training.replaying",
        "resolve_config": "trimtab.training.config",
        "resume": "trimtab.training.lifecycle",
        "train": "trimtab.training.lifecycle",
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

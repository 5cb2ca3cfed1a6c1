"""Trimtab: a laboratory for steering small language models, and for testing whether the steering helped."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names
from trimtab.openmp import set_waiting
from trimtab.version import __version__ as __version__

if TYPE_CHECKING:
    from trimtab.config import EpisodeConfig
    from trimtab.data import Batch, TaskDataset
    from trimtab.generation import generate
    from trimtab.losses import LossModule
    from trimtab.models import Decoder
    from trimtab.random import Streams
    from trimtab.records import RunDirectory
    from trimtab.regimes import Decision, RegimeController, RegimeState
    from trimtab.training import (
        GradientTransform,
        LearningRule,
        Observer,
        Trainer,
        TrainState,
        fork,
        replay,
        resume,
        train,
    )
    from trimtab.training.config import RunConfig, load_config

set_waiting()

_MODULES = {
    "EpisodeConfig": "trimtab.config",
    "RunConfig": "trimtab.training.config",
    "load_config": "trimtab.training.config",
    "Batch": "trimtab.data",
    "TaskDataset": "trimtab.data",
    "LossModule": "trimtab.losses",
    "Decoder": "trimtab.models",
    "generate": "trimtab.generation",
    "Streams": "trimtab.random",
    "RunDirectory": "trimtab.records",
    "Decision": "trimtab.regimes",
    "RegimeController": "trimtab.regimes",
    "RegimeState": "trimtab.regimes",
    "GradientTransform": "trimtab.training",
    "LearningRule": "trimtab.training",
    "Observer": "trimtab.training",
    "TrainState": "trimtab.training",
    "Trainer": "trimtab.training",
    "fork": "trimtab.training",
    "replay": "trimtab.training",
    "resume": "trimtab.training",
    "train": "trimtab.training",
}

__all__ = [
    "Batch",
    "Decision",
    "Decoder",
    "EpisodeConfig",
    "GradientTransform",
    "LearningRule",
    "LossModule",
    "Observer",
    "RegimeController",
    "RegimeState",
    "RunConfig",
    "RunDirectory",
    "Streams",
    "TaskDataset",
    "TrainState",
    "Trainer",
    "__version__",
    "fork",
    "generate",
    "load_config",
    "replay",
    "resume",
    "train",
]


__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return list(__all__)

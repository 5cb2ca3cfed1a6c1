"""Trimtab: a laboratory for steering small language models, and for finding out honestly whether the steering helped."""

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "EpisodeConfig": "trimtab.config",
    "RunConfig": "trimtab.config",
    "load_config": "trimtab.config",
    "Streams": "trimtab.random",
    "RunDirectory": "trimtab.records",
    "Batch": "trimtab.data",
    "TaskDataset": "trimtab.data",
    "LossModule": "trimtab.losses",
    "RegimeController": "trimtab.regimes",
    "RegimeState": "trimtab.regimes",
    "Decoder": "trimtab.models",
    "generate": "trimtab.models",
    "Observer": "trimtab.training",
    "Trainer": "trimtab.training",
    "TrainState": "trimtab.training",
    "fork": "trimtab.training",
    "replay": "trimtab.training",
    "resume": "trimtab.training",
    "train": "trimtab.training",
}

__all__ = ["__version__", *sorted(_EXPORTS)]


def __getattr__(name: str) -> Any:
    # Late, so that `import trimtab` and `trimtab --help` load no torch.
    if name not in _EXPORTS:
        raise AttributeError(f"module 'trimtab' has no attribute '{name}'")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return __all__

"""Functions to search, and optimisers by name."""

import math
from collections.abc import Callable
from typing import Any

from trimtab.search import (
    Annealing,
    GridSearch,
    HillClimb,
    Number,
    Optimizer,
    ParticleSwarm,
    RandomSearch,
    Space,
    Trial,
)
from trimtab.search.cma import CmaEs
from trimtab.search.optuna_adapter import OptunaSearch

PLANE = Space({"x": Number(-2.0, 2.0), "y": Number(0.01, 100.0, log=True)})
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "random": RandomSearch,
    "grid": lambda space, **options: GridSearch(space, levels=4, **options),
    "pso": ParticleSwarm,
    "spso2011": lambda space, **options: ParticleSwarm(space, variant="spso2011", **options),
    "annealing": Annealing,
    "vfsa": lambda space, **options: Annealing(space, variant="vfsa", **options),
    "climb": HillClimb,
    "cma": CmaEs,
    "tpe": OptunaSearch,
}


def bowl(settings: dict[str, Any]) -> float:
    """0 at x = 0.5, y = 1."""
    return (settings["x"] - 0.5) ** 2 + math.log10(settings["y"]) ** 2


def searched(
    optimizer: Optimizer, function: Callable[[dict[str, Any]], float] = bowl, *, parallel: int = 1
) -> list[tuple[Trial, float]]:
    """The trials of a whole budget in the order in which they are told; `parallel` are pending at a time, the oldest told first."""
    pending: list[Trial] = []
    told = []
    while optimizer.asked < optimizer.budget or pending:
        while optimizer.asked < optimizer.budget and len(pending) < parallel:
            pending.append(optimizer.ask())
        trial = pending.pop(0)
        value = function(trial.settings)
        optimizer.tell(trial, value)
        told.append((trial, value))
    return told

"""Optimisers for settings of any function: ask for a trial, tell its value. Imports no torch."""

from trimtab.search.local import Annealing, HillClimb
from trimtab.search.optimizer import Optimizer, Trial
from trimtab.search.simple import GridSearch, RandomSearch
from trimtab.search.space import Choice, Number, Space
from trimtab.search.swarm import ParticleSwarm

__all__ = [
    "Annealing",
    "Choice",
    "GridSearch",
    "HillClimb",
    "Number",
    "Optimizer",
    "ParticleSwarm",
    "RandomSearch",
    "Space",
    "Trial",
]

"""What a run's monitor observes, and the controllers that may intervene."""

from trimtab.regimes.controller import Controller, Decision, NoController, RegimeController
from trimtab.regimes.divergence import Divergence
from trimtab.regimes.monitor import Monitor
from trimtab.regimes.robust import RobustWindow, median_and_sigma
from trimtab.regimes.state import RegimeState, UpdateSize, observations

__all__ = [
    "Controller",
    "Decision",
    "Divergence",
    "Monitor",
    "NoController",
    "RegimeController",
    "RegimeState",
    "RobustWindow",
    "UpdateSize",
    "median_and_sigma",
    "observations",
]

"""What is observed of a run, and who may intervene."""

from trimtab.regimes.controller import Decision, NoController, RegimeController
from trimtab.regimes.monitor import Divergence, Monitor
from trimtab.regimes.state import RegimeState

__all__ = ["Decision", "Divergence", "Monitor", "NoController", "RegimeController", "RegimeState"]

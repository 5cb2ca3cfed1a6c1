"""How the idle threads of OpenMP wait; set before torch is loaded, which reads it once.

By default libgomp's idle threads spin for a long time. Beside one other busy process they spin away the core that the computing
thread needs, and a run of two threads becomes 20 to 30 times slower (docs/log.md).
"""

import os
import sys

SPIN_COUNT = 1000
"""`GOMP_SPINCOUNT`: how often an idle thread looks for work before it sleeps. It changes speed and no result."""

_USERS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Variables by which a user says the same; any of them is left to decide alone."""


def set_waiting() -> None:
    """Set the spin count for this process and those that it starts, unless the user's environment decides how threads wait.

    Does nothing once torch is loaded: OpenMP has read its variables then, and a run records those that were in force.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _USERS):
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)

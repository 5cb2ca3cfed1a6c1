"""How idle OpenMP threads wait. It must be set before torch is imported, which reads it once.

By default, idle threads of libgomp spin for a long time. If another process is busy, they occupy the core that the computing
thread needs, and a run with two threads becomes 20 to 30 times slower (docs/log.md).
"""

import os
import sys

SPIN_COUNT = 1000
"""`GOMP_SPINCOUNT`: how often an idle thread checks for work before it sleeps. It changes speed but no result."""

_USER_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Variables with which a user sets the same; if one of them is set, nothing is changed."""


def set_waiting() -> None:
    """Set the spin count for this process and its child processes, unless the environment already says how threads wait.

    Does nothing after torch was imported, because OpenMP has then read its variables; a run records the ones in effect.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _USER_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)

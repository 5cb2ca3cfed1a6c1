"""A worker process: takes jobs as JSON lines on its standard input and answers each by a line on its standard output."""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from trimtab.boundary import shortened
from trimtab.boundary.own_code import search
from trimtab.config import TrimtabError, allowing_code
from trimtab.experiments.interventions import measure_interventions
from trimtab.experiments.jobs import Job, run_job
from trimtab.runtime.context import RunContext
from trimtab.runtime.signals import StopOnSignal

_LONGEST = 2000
"""Characters of an error that an answer holds."""


class Silent:
    """A display that shows nothing and tells when a run begins."""

    def __init__(self, stop: StopOnSignal) -> None:
        self._stop = stop

    def begin(self, steps: int) -> None:
        """From now on a signal is answered after a checkpoint."""
        self._stop.arm()

    def step(self, row: Mapping[str, Any]) -> None:
        """Nothing."""

    def event(self, row: Mapping[str, Any]) -> None:
        """Nothing."""

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """Nothing."""


def work(job: Job) -> dict[str, Any]:
    """Run a job; a signal ends it after a checkpoint. An error is part of the answer."""
    with StopOnSignal() as stop:
        context = RunContext(Silent(stop), stop=stop, command=("trimtab", "run"), gates=False)
        try:
            return (measure_interventions if job.kind == "interventions" else run_job)(job, context)
        except KeyboardInterrupt:
            return {"status": "interrupted"}
        except TrimtabError as error:
            return {"status": "failed", "error": shortened(str(error), _LONGEST)}
        except Exception as error:  # noqa: BLE001 - a component of the user's may raise anything; the others go on
            traceback.print_exc()  # a worker's goes to the log
            words = shortened(f"{type(error).__name__}: {error}", _LONGEST)
            return {"status": "failed", "error": f"{words} (the traceback is printed or in workers.log)"}


def main(terms: Mapping[str, Any]) -> None:
    """Serve until the input ends.

    `terms` says where dotted paths are imported from (`folders`) and which of them records may name (`code`).
    """
    search(terms["folders"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a component prints goes to the log, and not between the answers
    with allowing_code(**terms["code"]):
        for line in sys.stdin:
            answer = work(Job(**json.loads(line)))
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

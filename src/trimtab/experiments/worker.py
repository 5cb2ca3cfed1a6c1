"""Runs one job of an experiment: in this process, or in a worker process as a task."""

import traceback
from typing import Any

from trimtab.boundary import shortened
from trimtab.config import TrimtabError
from trimtab.experiments.interventions import measure_interventions
from trimtab.experiments.jobs import Job, run_job
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import Ended, OnEvent, RunEvent, Started, Thinned
from trimtab.runtime.signals import StopOnSignal

_LONGEST = 2000
"""Characters of an error that a result holds."""


class _JobEvents:
    """Arms the handler of signals when the run starts, and passes its events on, except its end: the result says that."""

    def __init__(self, stop: StopOnSignal, on_event: OnEvent | None) -> None:
        self._stop, self._on_event = stop, None if on_event is None else Thinned(on_event)
        self.error: Exception | None = None
        """What the consumer raised: an error of its own, not of the job."""

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, Started):
            self._stop.arm()
        if self._on_event is None or isinstance(event, Ended):
            return
        try:
            self._on_event(event)
        except Exception as error:
            self.error = error
            raise


def run_and_report(job: Job, on_event: OnEvent | None = None) -> dict[str, Any]:
    """Run a job and return its result. A signal ends it after a checkpoint; an error of the job becomes part of the result.

    An error in the consumer of events is raised.
    """
    with StopOnSignal() as stop:
        events = _JobEvents(stop, on_event)
        context = RunContext(events, stop=stop, command=("trimtab", "run"), gates=False)
        try:
            return (measure_interventions if job.kind == "interventions" else run_job)(job, context)
        except KeyboardInterrupt:
            return {"status": "interrupted"}
        except Exception as error:
            if events.error is not None:
                raise
            if isinstance(error, TrimtabError):
                return {"status": "failed", "error": shortened(str(error), _LONGEST)}
            traceback.print_exc()  # that of a worker process goes to the log
            words = shortened(f"{type(error).__name__}: {error}", _LONGEST)
            return {"status": "failed", "error": f"{words} (the traceback is printed or in workers.log)"}


def run_task(task: dict[str, Any], on_event: OnEvent | None) -> dict[str, Any]:
    """Run a job that came to a worker process as JSON values."""
    return run_and_report(Job(**task), on_event)

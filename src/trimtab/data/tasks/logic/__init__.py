"""The task `logic`: entailment, knights and knaves."""

from trimtab.data.tasks.logic.task import Logic

__all__ = ["Logic"]

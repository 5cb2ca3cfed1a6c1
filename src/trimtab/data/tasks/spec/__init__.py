"""The task `spec`: from requirements in sentences to a specification in JSON."""

from trimtab.data.tasks.spec.schema import SCHEMA
from trimtab.data.tasks.spec.scoring import compare
from trimtab.data.tasks.spec.task import Spec

__all__ = ["SCHEMA", "Spec", "compare"]

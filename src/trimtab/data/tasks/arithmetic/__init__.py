"""The task `arithmetic`."""

from trimtab.data.tasks.arithmetic.expressions import Operation
from trimtab.data.tasks.arithmetic.task import Arithmetic

__all__ = ["Arithmetic", "Operation"]

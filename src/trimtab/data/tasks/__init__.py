"""Tasks: questions with a known right answer, and where it makes sense the exact distribution of answers."""

from trimtab.data.tasks.build import task_data
from trimtab.data.tasks.dataset import ProblemDataset
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.problem import Number, Problem, Role, Task

__all__ = ["GeneratedTask", "Number", "Problem", "ProblemDataset", "Role", "Task", "task_data"]

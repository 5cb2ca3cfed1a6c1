"""Tasks: questions with a known right answer, and where it makes sense the exact distribution of answers."""

from trimtab.data.problem import FinalAnswers, Number, Problem, Role, Task, final_answer
from trimtab.data.tasks.build import task_data
from trimtab.data.tasks.dataset import ProblemDataset, end_token
from trimtab.data.tasks.generated import GeneratedTask

__all__ = [
    "FinalAnswers",
    "GeneratedTask",
    "Number",
    "Problem",
    "ProblemDataset",
    "Role",
    "Task",
    "end_token",
    "final_answer",
    "task_data",
]

"""Problems whose answer follows a thought."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from trimtab.data.problem import Problem, ShowsWorking, Task

NO_PLAN = -1
"""The plan of a problem that has none."""


@dataclass(frozen=True)
class ThoughtProblem(Problem):
    """A problem with the thought that leads to its answer, and the number of the plan that the thought follows.

    A thought that is not `closed` was cut off before its end; its problem has no answer. `domain` names the source of the problem
    where a run mixes several.
    """

    thought: str = ""
    plan: int = NO_PLAN
    closed: bool = True
    domain: str = ""

    def metadata(self) -> dict[str, Any]:
        """The metadata of the problem's item in a dataset."""
        return {**super().metadata(), "plan": self.plan, **({"domain": self.domain} if self.domain else {})}


def with_thoughts(task: Task, problems: Sequence[Problem]) -> Sequence[Problem]:
    """Problems with the task's working as their thoughts; as they are where the task shows no working."""
    if not isinstance(task, ShowsWorking):
        return problems
    thoughtful = []
    for problem in problems:
        working = task.working(problem)
        plain = {field.name: getattr(problem, field.name) for field in fields(Problem)}
        plan = NO_PLAN if working.method is None else working.method
        thoughtful.append(ThoughtProblem(**plain, thought=working.steps, plan=plan))
    return thoughtful

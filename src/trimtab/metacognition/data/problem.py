"""Problems whose answer follows a thought."""

from dataclasses import dataclass
from typing import Any

from trimtab.data.problem import Problem

NO_PLAN = -1
"""The plan of a problem that has none."""


@dataclass(frozen=True)
class ThoughtProblem(Problem):
    """A problem with the thought that leads to its answer, and the number of the plan that the thought follows."""

    thought: str = ""
    plan: int = NO_PLAN

    def metadata(self) -> dict[str, Any]:
        """The metadata of the problem's item in a dataset."""
        return {**super().metadata(), "plan": self.plan}

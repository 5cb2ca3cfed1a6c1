"""The report on problems with thoughts from streams and several domains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.data.tasks.build import TaskReport


@dataclass(frozen=True)
class ThoughtReport(TaskReport):
    """The report on a task's problems, with the share of each domain and the names of those that are streamed.

    Of a streamed domain, `train`, `tokens`, `levels` and `left_out` describe its first block.
    """

    domains: Mapping[str, float] = field(default_factory=dict)
    streamed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report for people, one line per fact."""
        lines = super().lines()
        if len(self.domains) > 1:
            lines.append("domains: " + ", ".join(f"{share:.1%} {name}" for name, share in self.domains.items()))
        if self.streamed:
            lines.append(f"streamed: {', '.join(self.streamed)}; the training problems are those of a first block")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**super().to_dict(), "domains": dict(self.domains), "streamed": list(self.streamed)}

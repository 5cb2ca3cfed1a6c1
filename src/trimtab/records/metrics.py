"""The metrics that a kind of run declares: what a claim may name, and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Metric:
    """A figure of a run's summary, by its dotted name.

    `cap` names the figure that a diverged run counts as where its own is not better; None is `untrained.NAME`. `often_zero`
    marks counts of what sound runs have none of, whose logarithms are rarely known.
    """

    name: str
    higher_is_better: bool
    unit: str = ""
    cap: str | None = None
    often_zero: bool = False


@dataclass(frozen=True)
class Metrics:
    """The metrics of runs of one config.

    `always` are those that every run of the config has; only these may be claimed. `sometimes` are further ones, compared where
    all runs have them. `prefixes` begin names that are known in part only, each with words for what follows it. `refused` begin
    names of figures that exist and may not be claimed, each with the reason, in which {rest} is the rest of the name.
    `explored` are compared besides the claimed metric, without a verdict, in this order.
    """

    always: tuple[Metric, ...]
    sometimes: tuple[Metric, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    explored: tuple[str, ...] = ()

    def find(self, name: str) -> Metric | None:
        """The metric of this name."""
        return next((metric for metric in (*self.always, *self.sometimes) if metric.name == name), None)

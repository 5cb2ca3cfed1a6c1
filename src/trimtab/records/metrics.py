"""The metrics that a kind of run declares: their names, and whether a higher or a lower value is better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ConfigDict, with_config


@with_config(ConfigDict(strict=False))  # so that a record can hold it as a JSON object
@dataclass(frozen=True)
class Metric:
    """A number in a run's summary, by its dotted name.

    `cap` names the figure that replaces a diverged run's own where that is not better; None is `untrained.NAME`. `often_zero`
    marks counts that are 0 in most runs, so that they have no logarithm. `evaluated` marks what evaluations during a run
    measure too, so that the best checkpoint and early stopping may go by it. `label` is the column head in a report.
    """

    name: str
    higher_is_better: bool
    unit: str = ""
    cap: str | None = None
    often_zero: bool = False
    evaluated: bool = False
    label: str = ""

    def better(self, value: float, reference: float, by: float = 0.0) -> bool:
        """Whether a value is better than a reference by more than `by`."""
        return value > reference + by if self.higher_is_better else value < reference - by

    @property
    def title(self) -> str:
        """The label, or the name without one."""
        return self.label or self.name

    def untrained(self, figures: Mapping[str, float]) -> float:
        """The value of the untrained model, from the figures of a run's summary; NaN where it is not recorded."""
        own = figures.get(f"untrained.{self.name}", math.nan)
        return own if self.cap is None else figures.get(self.cap, own)


@dataclass(frozen=True)
class Metrics:
    """The metrics of runs of one config.

    `always` are those that every run of the config has; only these may be claimed. `sometimes` are compared where all runs have
    them. `prefixes` are beginnings of names whose end is not known before the run, each with words for that end. `refused` are
    beginnings of names of figures that may not be claimed, each with the reason, in which {rest} is the rest of the name.
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

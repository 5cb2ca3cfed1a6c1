"""The files that an experiment may leave besides: detection, interventions, noise floor, tuning."""

from typing import Any

from trimtab.reports.reading import Read


class DetectionScore(Read):
    """A run's decisions against the injected faults (`detection.json`)."""

    arm: str
    seed: int
    faults: int
    recall: float
    false_alarms: int
    delay: float
    excess: float


class Intervention(Read):
    """One intervention and what it changed against a twin that did nothing."""

    arm: str
    seed: int
    step: int
    kind: str
    reason: str = ""
    effect: dict[str, float]


class Effect(Read):
    """The mean effect of an arm's interventions on a metric, clustered by run."""

    arm: str
    metric: str
    mean: float
    low: float
    high: float
    runs: int
    interventions: int
    level: float = 0.95
    note: str | None = None


class Interventions(Read):
    """`interventions.json`."""

    horizon: int
    decisions: int = 0
    interventions: list[Intervention]
    effects: list[Effect]


class NoiseFloor(Read):
    """`noise_floor.json`: the spread of the difference between arms that are equal."""

    metric: str
    pairing: str
    pairs: int
    noise_floor: float


class TuningRun(Read):
    """One run of a search for an arm's settings."""

    overrides: dict[str, Any]
    seed: int
    status: str
    value: float


class TunedArm(Read):
    """How an arm's settings were found before the experiment."""

    over: dict[str, list[Any]]
    metric: str
    runs: list[TuningRun]
    chosen: dict[str, Any]
    steps: int


class Tuning(Read):
    """`tuning.json`."""

    arms: dict[str, TunedArm]

"""The schemas of the files that an experiment writes into its folder, except `experiment.yaml` and the runs themselves."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from trimtab.errors import RunError
from trimtab.records.hashing import Seal
from trimtab.records.manifest import read_object, without_checksum
from trimtab.records.metrics import Metric
from trimtab.records.problems import problems_of
from trimtab.records.rows import Number, Row

SPEC = "experiment.yaml"
PROGRESS = "experiment.json"
VERDICTS = "verdicts.json"
DETECTION = "detection.json"
INTERVENTIONS = "interventions.json"
NOISE_FLOOR = "noise_floor.json"
TUNING = "tuning.json"
EFFECTS = "effects.json"
"""In the folder of one episode's interventions."""
SAME_AS = "same_as.json"
"""In an episode's folder in place of a run: the controller never acted, so the episode is the baseline's run."""

UNKNOWN_REASON = "no reason was recorded"

Count = Annotated[int, Field(ge=0)]


class EpisodeProgress(Row):
    """How an episode ended, and the steps that its lazy fork shared with the baseline."""

    status: str
    saved_steps: Count = 0


class FailureEvent(Row):
    """A worker process that died, or an episode that failed."""

    time: str
    episode: str
    status: str
    error: str = UNKNOWN_REASON


class ExperimentProgress(Row):
    """`experiment.json`: the experiment's manifest, its episodes so far, and at its end the hashes of its files.

    `metrics` are those that the kind of run declares for the baseline's episodes; `explored` names the ones that are compared
    besides the claimed one.
    """

    question: str
    spec_hash: str
    created_at: str
    trimtab: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    command: list[str] = Field(default_factory=list)
    metrics: list[Metric] = Field(default_factory=list)
    explored: list[str] = Field(default_factory=list)
    status: Literal["running", "interrupted", "completed", "failed"]
    ended_at: str | None = None
    episodes: dict[str, EpisodeProgress] = Field(default_factory=dict)
    events: list[FailureEvent] = Field(default_factory=list)
    records: dict[str, Seal] = Field(default_factory=dict)


def read_progress(path: Path) -> ExperimentProgress:
    """The progress of an experiment. Raises `RunError` where it is missing or damaged."""
    raw = read_object(path, path.name, f"{path.parent} is not the folder of an experiment")
    try:
        return ExperimentProgress.model_validate(without_checksum(raw, str(path)))
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {problems_of(error)}. Restore it from a copy.") from error


class FailedEpisode(Row):
    """An episode that a comparison lacks, and why."""

    episode: str
    error: str


def _two(ends: list[float]) -> list[float]:
    if len(ends) != 2:
        raise ValueError("an interval needs two values")
    return ends


class TailRecord(Row):
    """How heavy the tail of the differences is; see `trimtab.evidence.Tail`."""

    measure: Number | None
    heavy: bool


class VerdictRecord(Row):
    """An entry of `verdicts.json`: the fields of a `trimtab.evidence.Verdict`, and the values behind it, seed by seed.

    `differences` are treatment − baseline on the scale of the claim; `planned` counts the pairs that the design asks for.
    """

    metric: str
    higher_is_better: bool | None
    baseline: str
    treatment: str
    pairing: str
    estimand: str
    n: Count
    nonzero: Count
    mean_difference: Number
    confidence_interval: Annotated[list[Number], AfterValidator(_two)]
    level: Number
    p_value: Number
    p_adjusted: Number | None
    p_win: Number | None
    e_value: Number
    sd_difference: Number | None
    noise_floor: Number | None
    tail: TailRecord
    capped: Count
    verdict: str
    claim: str
    reason: str
    sentence: str
    pairs_needed: int | None
    seeds: list[int]
    baseline_values: list[Number]
    treatment_values: list[Number]
    differences: list[Number]
    planned: Count
    failed: list[FailedEpisode]

    @model_validator(mode="after")
    def _has_every_pair(self) -> Self:
        columns = (self.baseline_values, self.treatment_values, self.differences)
        if any(len(values) != len(self.seeds) for values in columns) or not self.seeds:
            raise ValueError("every seed needs one value per arm and one difference")
        return self

    @property
    def claimed(self) -> bool:
        """Whether the comparison was claimed before the run; otherwise it is exploratory."""
        return self.p_adjusted is not None or not self.claim.startswith("none")


class DetectionRecord(Row):
    """An entry of `detection.json`: a run's decisions compared with the injected faults.

    See `trimtab.experiments.detection.Detection`. `cell` holds the factors' values.
    """

    arm: str
    seed: int
    cell: dict[str, Any] = Field(default_factory=dict)
    faults: Count
    recall: Number
    false_alarms: Count
    delay: Number
    excess: Number


class MeasuredIntervention(Row):
    """A decision of a controller and its effect, by metric: the run continued with it, minus the run continued without it."""

    step: int
    attempt: int = 0
    kind: str
    reason: str
    effect: dict[str, Number]


class EpisodeEffects(Row):
    """`effects.json`: the measured interventions of one episode, of `decisions` in all.

    `weights_sha256`, `steps` and `at_most` say what they were measured on and how.
    """

    weights_sha256: str | None
    steps: Count
    at_most: int | None
    decisions: Count
    interventions: list[MeasuredIntervention]


class InterventionRecord(MeasuredIntervention):
    """A measured intervention, with the episode that it belongs to."""

    arm: str
    seed: int
    cell: dict[str, Any] = Field(default_factory=dict)


class MeanEffect(Row):
    """The mean effect of an arm's interventions on a metric; its interval treats each run's interventions as one cluster."""

    arm: str
    metric: str
    mean: Number
    low: Number
    high: Number
    level: Number
    runs: Count
    interventions: Count
    note: str | None


class InterventionsRecord(Row):
    """`interventions.json`: the effects over the `horizon` (steps), of some of the `decisions`."""

    horizon: Count
    decisions: Count
    interventions: list[InterventionRecord]
    effects: list[MeanEffect]


class NoiseFloorRecord(Row):
    """`noise_floor.json`: the standard deviation of the difference between the baseline and its copies, in the claimed metric.

    `differences` has one entry per pair; `floors` holds the standard deviation for every metric; `at` is the step at which a
    copy parted from its baseline.
    """

    metric: str
    pairing: str
    at: int | None
    pairs: Count
    noise_floor: Number
    differences: list[Number]
    floors: dict[str, Number]


class TuningRun(Row):
    """One run of the search for an arm's settings; `value` is the claimed metric."""

    overrides: dict[str, Any]
    seed: int
    status: str
    value: Number


class TunedArm(Row):
    """How an arm's settings were found before the experiment, in `steps` training steps in all."""

    over: dict[str, list[Any]]
    metric: str
    runs: list[TuningRun]
    chosen: dict[str, Any]
    steps: Count


class TuningRecord(Row):
    """`tuning.json`: every tuned arm."""

    arms: dict[str, TunedArm]

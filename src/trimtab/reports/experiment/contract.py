"""The files of an experiment's folder as the report reads them, each checked before it is used."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from trimtab.config.permission import needs_permission
from trimtab.config.yaml_file import load_yaml
from trimtab.errors import ConfigError, RunError
from trimtab.records.hashing import Seal
from trimtab.records.manifest import read_object, without_checksum
from trimtab.reports.reading import Read, checked


class Claimed(Read):
    """The claim as it was written before the run."""

    metric: str
    higher_is_better: bool
    margin: float
    alpha: float = 0.05
    scale: str = "plain"


class Paired(Read):
    """What the members of a pair share."""

    name: Literal["seed", "fork", "lazy_fork"] = "seed"
    at: int | None = None


class DerivedOver(Read):
    """A metric computed over a factor."""

    name: str
    over: str
    metric: str = "val_loss"


class Bought(Read):
    """The budget."""

    pairs: int | None = None


class Design(Read):
    """`experiment.yaml`, without the base config."""

    question: str
    episodes: str = "training"
    claim: Claimed
    arms: dict[str, dict[str, Any]]
    baseline: str
    factors: dict[str, list[Any]] = Field(default_factory=dict)
    derived: DerivedOver | None = None
    seeds: int | list[int]
    pairing: Paired = Paired()
    sequential: bool = False
    budget: Bought = Bought()
    needs_permission: bool = False
    """Whether the whole spec names code of the user's own or allows the hub, so that running it anew needs `--allow-code`."""

    @property
    def seed_list(self) -> list[int]:
        """The seeds, in order."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def treatments(self) -> list[str]:
        """The arms that are compared with the baseline."""
        return [arm for arm in self.arms if arm != self.baseline]

    @property
    def order(self) -> list[str]:
        """The baseline, then the treatments."""
        return [self.baseline, *self.treatments]


class EpisodeState(Read):
    """How an episode stands, and the steps that its lazy fork saved."""

    status: str
    saved_steps: int = 0


class ExperimentProgress(Read):
    """`experiment.json`: the experiment's manifest and how far it came."""

    question: str
    created_at: str
    trimtab: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    command: list[str] = Field(default_factory=list)
    status: str
    ended_at: str | None = None
    episodes: dict[str, EpisodeState] = Field(default_factory=dict)
    events: list[dict[str, Any]] = Field(default_factory=list)
    records: dict[str, Seal] = Field(default_factory=dict)


class Finding(Read):
    """A verdict of `verdicts.json` and its pairs, seed by seed."""

    metric: str
    higher_is_better: bool | None
    baseline: str
    treatment: str
    pairing: str
    estimand: str = ""
    n: int
    nonzero: int
    mean_difference: float
    confidence_interval: tuple[float, float]
    level: float
    p_value: float
    p_adjusted: float | None
    p_win: float | None
    e_value: float
    sd_difference: float | None
    noise_floor: float | None = None
    capped: int = 0
    verdict: str
    claim: str
    reason: str
    sentence: str
    pairs_needed: int | None = None
    seeds: list[int]
    baseline_values: list[float]
    treatment_values: list[float]
    differences: list[float]
    planned: int = 0
    failed: list[dict[str, str]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        pairs = (self.baseline_values, self.treatment_values, self.differences)
        if any(len(values) != len(self.seeds) for values in pairs) or not self.seeds:
            raise ValueError("there is not one value of each arm and one difference for every seed")
        return self

    @property
    def primary(self) -> bool:
        """Whether it was claimed before the run."""
        return self.p_adjusted is not None or not self.claim.startswith("none")


def read_progress(path: Path) -> ExperimentProgress:
    """The progress. Raises `RunError` where it is missing or damaged."""
    raw = read_object(path, path.name, f"{path.parent} is not the folder of an experiment")
    content = without_checksum(raw, f"The progress of the experiment in {path}")
    found: ExperimentProgress = checked(TypeAdapter(ExperimentProgress), content, path)
    return found


def read_design(path: Path) -> Design:
    """The resolved spec. Raises `RunError` where it is missing or not an experiment's."""
    if not path.exists():
        raise RunError(
            f"{path.parent} is not the folder of an experiment: there is no {path.name} in it. Give the folder that `trimtab "
            "run` was given as --out."
        )
    try:
        raw, _ = load_yaml(path)
    except ConfigError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    found: Design = checked(TypeAdapter(Design), raw | {"needs_permission": needs_permission(raw)}, path)
    if found.baseline not in found.arms:
        raise RunError(
            f"{path} is damaged: its baseline '{found.baseline}' is none of its arms. Restore it from a copy."
        )
    return found

"""Reading an experiment's YAML."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trimtab.config import ConfigError
from trimtab.config.kinds import EXPERIMENT, refuse_other_kinds, run_kinds
from trimtab.config.overrides import apply_overrides
from trimtab.config.permission import refuse_recorded_code
from trimtab.config.plain import plain_values
from trimtab.config.wording import Source, worded
from trimtab.config.yaml_file import load_yaml
from trimtab.experiments.checking import check
from trimtab.experiments.spec import Experiment
from trimtab.records.experiment_spec import with_base


def load_experiment(path: Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment's YAML, apply `key=value` overrides and check it all.

    Raises `ConfigError` for unknown keys, a missing margin, too few seeds, two equal arms, a pairing that contradicts the arms,
    and so on (see `check`). Raises `RunError` if the file lies in a folder of records, or below one, and contains a dotted path
    (code) or allows the hub, unless that is allowed (`allowing_code`).
    """
    data, lines = load_yaml(path)
    refuse_other_kinds(data, str(path), EXPERIMENT)
    refuse_recorded_code(data, path)
    kind = run_kinds().get(str(data.get("episodes", Experiment.model_fields["episodes"].default)))
    apply_overrides(data, overrides, None if kind is None else kind.schema)
    return experiment_from(data, Source(str(path), lines))


def experiment_from(data: Mapping[str, Any], where: Source) -> Experiment:
    """The experiment that a mapping describes, checked."""
    plain = with_base(plain_values(data, where))
    try:
        experiment = Experiment.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        raise ConfigError(worded(error, Experiment, where)) from error
    check(experiment, where.at(()))
    # Named in the records, so that it does not depend on the order of keys.
    return experiment.model_copy(update={"baseline": experiment.baseline_arm})

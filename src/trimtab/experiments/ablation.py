"""The one-change-at-a-time experiment: a base config against itself with one key changed; each change is an arm."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trimtab.config import ConfigError
from trimtab.config.wording import Source
from trimtab.config.yaml_file import parse_value
from trimtab.evidence import Claim
from trimtab.experiments.loading import experiment_from
from trimtab.experiments.spec import Experiment

_NEXT_CHANGE = re.compile(r",(?=\s*[\w\[\].]+\s*=)")
"""A comma before another `key=`; the commas within a value (a list, a mapping) are not followed by one."""


def ablation(base: Mapping[str, Any], over: Iterable[str], claim: Claim, seeds: int) -> Experiment:
    """The experiment in which every `key=value` of `over` (comma-separated lists of them) is an arm, compared with the base
    config.

    Raises `ConfigError` for a change that cannot be read, is listed twice, or changes nothing.
    """
    if "arms" in base:
        raise ConfigError(
            "The base of an ablation is the config of a run, and this config has 'arms', so it is an experiment. Give it to "
            "`trimtab run`."
        )
    arms: dict[str, Any] = {"base": {}}
    for change in (part.strip() for text in over for part in _NEXT_CHANGE.split(text)):
        key, separator, value = change.partition("=")
        if not separator or not key.strip() or not value.strip():
            raise ConfigError(
                f"--over takes KEY=VALUE,KEY=VALUE, such as model.dropout=0,episode.clip=null; got '{change}'."
            )
        name = f"{key.strip().rsplit('.', 1)[-1]}={value.strip()}"
        if name in arms and key.strip() not in arms[name]:
            name = f"{key.strip()}={value.strip()}"  # two keys of different parts of the config end alike
        if name in arms:
            raise ConfigError(f"--over: '{name}' is listed twice. Remove one.")
        arms[name] = {key.strip(): parse_value(value)}
    if len(arms) == 1:
        raise ConfigError("--over names no change. Give one or more, such as --over model.dropout=0,episode.clip=null.")
    spec = {
        "question": f"What does each change alone do to {claim.metric}?",
        "claim": {
            "metric": claim.metric,
            "higher_is_better": claim.higher_is_better,
            "margin": claim.margin,
            "alpha": claim.alpha,
            "scale": claim.scale,
        },
        "arms": arms,
        "seeds": seeds,
    }
    return experiment_from({**base, **spec}, Source("--over"))

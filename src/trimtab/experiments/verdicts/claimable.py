"""Whether the episodes of an experiment will have the metric that it claims; checked before anything is run."""

import difflib
from collections.abc import Iterable

from trimtab.boundary import listed
from trimtab.config import ConfigError, canonical_json
from trimtab.experiments.spec import Experiment
from trimtab.records.metrics import Metrics


def check_figures(experiment: Experiment, at: str) -> None:
    """Raise `ConfigError` for a claim, or a derived metric, on a metric that some arm's episodes will not have."""
    derived, metric = experiment.derived, experiment.claim.metric
    if derived is not None:
        if derived.over not in experiment.factors or len(experiment.factors) != 1:
            raise ConfigError(f"{at}derived.over: '{derived.over}' must be the experiment's one factor.")
        _check(experiment, derived.metric, f"{at}derived.metric")
    if metric == "sensitivity":
        if derived is None:
            raise ConfigError(f"{at}claim.metric: 'sensitivity' is a derived metric. Name its factor under 'derived'.")
        return
    _check(experiment, metric, f"{at}claim.metric")
    known = experiment.metrics.find(metric)
    if experiment.claim.scale == "log" and known is not None and known.often_zero:
        raise ConfigError(
            f"{at}claim.scale: '{metric}' is often 0, and the logarithm of 0 is not finite. Use plain or trimmed."
        )


def _check(experiment: Experiment, metric: str, where: str) -> None:
    tried: set[str] = set()
    for arm in experiment.arms:
        for cell in experiment.cells:
            config = experiment.episode_config(arm, experiment.seed_list[0], cell)
            if (parts := canonical_json(config)) not in tried:
                tried.add(parts)
                _check_arm(arm, experiment.run_kind.noun, experiment.metrics_of(config), metric, where)


def _check_arm(arm: str, noun: str, metrics: Metrics, metric: str, where: str) -> None:
    known = [one.name for one in metrics.always]
    if metric in known or _begun(metric, metrics.prefixes) is not None:
        return
    if (prefix := _begun(metric, metrics.refused)) is not None:
        reason = metrics.refused[prefix].format(rest=metric.removeprefix(prefix))
        raise ConfigError(f"{where}: '{metric}' {reason}.")
    near = difflib.get_close_matches(metric, known, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    further = "".join(f", and {prefix}{words}" for prefix, words in metrics.prefixes.items())
    raise ConfigError(
        f"{where}: no episode of the arm '{arm}' ({noun} each) has a metric '{metric}'.{hint} They have {listed(known, 60)}"
        f"{further}."
    )


def _begun(metric: str, prefixes: Iterable[str]) -> str | None:
    """The prefix of a name that is longer than it; None where there is none."""
    return next((prefix for prefix in prefixes if metric.startswith(prefix) and metric != prefix), None)

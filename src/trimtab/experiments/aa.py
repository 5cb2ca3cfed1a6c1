"""A/A experiments: arms that differ in an irrelevant stream only."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.config import ConfigError
from trimtab.evidence import Claim, aa_false_alarms, noise_floor, paired_differences
from trimtab.evidence.arrays import Numbers, root_mean_square
from trimtab.experiments.checking import check
from trimtab.experiments.directory import ExperimentDirectory
from trimtab.experiments.progress import RunOptions
from trimtab.experiments.reading import finished
from trimtab.experiments.run import run_experiment
from trimtab.experiments.spec import Experiment
from trimtab.experiments.verdicts.verdict_metrics import metric_table
from trimtab.records import to_json
from trimtab.records.atomic import write_json
from trimtab.records.experiment_spec import Budget, Pairing

NAME = "aa.json"


def aa_experiment(experiment: Experiment, copies: int) -> Experiment:
    """The baseline of an experiment against itself under other dropout draws, paired in the same way.

    A lazy fork becomes a fork at half of the steps, because no arm has a controller whose decision would start it.
    """
    experiment.needs_training()
    own = experiment.arms[experiment.baseline_arm]
    arms = {f"copy-{copy}": {**own, "episode.dropout_draw": copy} for copy in range(copies)}
    config = experiment.config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    pairing = experiment.pairing
    if pairing.name == "lazy_fork":
        pairing = Pairing(name="fork", at=max(1, config.episode.steps // 2))
    if config.model.spec.get("dropout") == 0:
        raise ConfigError(
            "model.dropout: this model has no dropout, so the dropout draw changes nothing and the copies would be identical. "
            "An A/A experiment needs an irrelevant stream."
        )
    changes = {"arms": arms, "baseline": "copy-0", "pairing": pairing, "sequential": False}
    changes |= {"tune": {}, "noise_floor": 0, "intervention_effects": False, "budget": Budget()}
    return experiment.model_copy(update={**changes, "question": f"A/A: {experiment.question}"})


def run_aa(experiment: Experiment, out: Path | str, copies: int, draws: int, options: RunOptions) -> dict[str, Any]:
    """Run an A/A experiment and resample `draws` of them from its runs; the figures are also written to `aa.json`.

    Raises `ConfigError` for memory runs, for under six seeds and where the draw changes nothing (a model without dropout).
    """
    copied = aa_experiment(experiment, copies)
    seeds, spec = copied.seed_list, copied.claim
    if len(seeds) < 6:
        raise ConfigError(
            f"seeds: {len(seeds)} pairs are too few for a verdict, so there is no false alarm to count. Take 6 or more."
        )
    check(copied, "A/A: ")
    status = run_experiment(copied, out, options)["status"]
    if status != "completed":
        return {"status": status}
    folder = ExperimentDirectory(out)
    table = metric_table(copied, finished(folder, copied), spec.metric).values
    bank: dict[Hashable, Numbers] = {seed: [table[arm][seed] for arm in copied.arms] for seed in seeds}
    if all(len(set(np.asarray(values).tolist())) == 1 for values in bank.values()):
        raise ConfigError(
            "The copies are identical: this model has no dropout, so the dropout draw changes nothing. An A/A experiment needs "
            "an irrelevant stream."
        )
    claim = Claim(spec.metric, spec.higher_is_better, spec.margin, spec.alpha, spec.scale)
    alarms = aa_false_alarms(bank, len(seeds), claim, draws=draws)
    first = [table["copy-0"][seed] for seed in seeds]
    floors = [
        noise_floor(paired_differences(first, [table[arm][seed] for seed in seeds], spec.scale))
        for arm in copied.treatments
    ]
    result = {
        "status": "completed",
        "metric": spec.metric,
        "pairing": copied.pairing.name,
        "noise_floor": root_mean_square(np.array(floors)),
        "seeds": len(seeds),
        "copies": copies,
        "n": alarms.n,
        "draws": alarms.draws,
        "alarms": alarms.alarms,
        "rate": alarms.rate,
        "low": alarms.low,
        "high": alarms.high,
        "alpha": spec.alpha,
        "verdicts": alarms.verdicts,
    }
    write_json(folder.path / NAME, to_json(result))
    return result

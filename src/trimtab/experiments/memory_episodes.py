"""Episodes that are memory runs: what a design of them may be, and running one."""

import difflib
from typing import TYPE_CHECKING, Any

from trimtab.config import ConfigError
from trimtab.config.load import resolve_root
from trimtab.config.memory import MemoryConfig
from trimtab.config.wording import Source
from trimtab.experiments.jobs import Job
from trimtab.experiments.spec import Experiment, Pairing
from trimtab.records import RunDirectory
from trimtab.training import Caller

if TYPE_CHECKING:
    from trimtab.memory.engine.solve import Step

_SHARES = {
    "single": ("single_question", "single_answer"),
    "joint": ("joint",),
    "paraphrases": ("joint_paraphrases",),
    "generation": ("pass_fp32", "pass_bf16"),
}
"""By stage, the figures that are shares of a run's pairs. That of counterfactual pairs is not among them: there may be none."""


def check_memory(experiment: Experiment, at: str) -> None:
    """Refuse what has no meaning for memory runs, and a metric that none of them will have. Raises `ConfigError`."""
    training = {
        "tune": bool(experiment.tune),
        "noise_floor": bool(experiment.noise_floor),
        "twin": experiment.twins is not None,
        "derived": experiment.derived is not None,
        "pairing": experiment.pairing != Pairing(),
    }
    if asked := [key for key, value in training.items() if value]:
        raise ConfigError(
            f"{at}{asked[0]}: this is for training runs, and the episodes are memory runs, which are paired by their seeds: "
            "equal seeds have the same pairs, modes and starting points. Leave it out."
        )
    config = experiment.episode_config(experiment.baseline_arm, experiment.seed_list[0], experiment.cells[0])
    assert isinstance(config, MemoryConfig)
    metric, known = experiment.claim.metric, figures_of_config(config)
    if metric in known:
        return
    if metric.startswith("robustness."):
        raise ConfigError(
            f"{at}claim.metric: '{metric}' is of solved memories alone, so an arm would gain by leaving hard pairs unsolved. "
            f"Claim 'recalled.{metric.partition('.')[2]}', which counts an unsolved pair as not recalled."
        )
    near = difflib.get_close_matches(metric, known, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(
        f"{at}claim.metric: no memory run of these stages has a figure '{metric}'.{hint} They are {', '.join(known)}."
    )


def figures_of_config(config: MemoryConfig) -> list[str]:
    """The figures that every run of the config will have, whatever it solves."""
    from trimtab.memory.analysis.disturbing import names

    listed = set(config.stages)
    found = [f"{name}.share" for stage, own in _SHARES.items() if stage in listed for name in own]
    if config.solve.precision != "bf16":  # auto may turn out to be fp32
        found = [name for name in found if name != "pass_bf16.share"]
    found += ["joint.pair_steps"] if "joint" in listed else []
    return found + ([f"recalled.{name}" for name in names()] if "analysis" in listed else [])


class _Quiet:
    """A watcher that shows nothing, tells the caller when work begins that a stop would keep, and passes its stop on."""

    def __init__(self, caller: Caller) -> None:
        self._display, self.stop = caller.display, caller.stop

    def begin(self, stage: str, pairs: int) -> None:
        """From now on a signal is answered after a checkpoint."""
        if self._display is not None:
            self._display.begin(pairs)

    def step(self, stage: str, step: "Step", solved: int, ended: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def run_memory_job(job: Job, caller: Caller) -> dict[str, Any]:
    """Run a memory run, go on with it, or find it done; returns its status.

    No gate stops it: an arm that solves little is to be compared, not left out. Raises `RunError` that names what is not as it
    was when the run was begun.
    """
    from trimtab.memory.run import MemoryRun

    run = RunDirectory(job.folder)
    config = resolve_root(MemoryConfig, job.config, Source(job.name, {}))
    before = run.summary() if run.exists() else None
    result = MemoryRun(config, run.path, _Quiet(caller), gated=False, command=caller.command).go()
    return {"status": result["status"], "reused": before is not None and before.status == "completed"}

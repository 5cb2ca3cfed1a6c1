"""Benchmark of an experiment of many tiny episodes: how much of the worker processes' time is spent in training steps."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from trimtab.bench.cases import TINY
from trimtab.experiments import RunOptions, load_experiment, run_experiment
from trimtab.records import RunDirectory

EPISODES, STEPS = 96, 100
EXPERIMENT = """
question: Does another learning rate end with a lower validation loss?
claim: {metric: val_loss, higher_is_better: false, margin: 0.02}
arms:
  base: {}
  hotter: {episode.optimizer.lr: 3.0e-3}
threads: 1
episode: {batch_size: 16, precision: fp32, checkpoint_every: 50, sample: {tokens: 0}}
"""


def bench_experiment(
    workers: int, say: Callable[[str], None], episodes: int = EPISODES, steps: int = STEPS
) -> dict[str, float]:
    """Episodes per second of the whole experiment, and the share of the workers' time that they spend in steps.

    The time of the workers is their number times the seconds from the call to the verdicts: with the start of the processes,
    data, models, evaluations, checkpoints and records.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "experiment.yaml"
        file.write_text(EXPERIMENT)
        experiment = load_experiment(
            file,
            [*TINY, f"seeds={episodes // 2}", f"episode.steps={steps}", f"episode.evaluate_every={steps}"],
        )
        say(f"an experiment of {episodes} tiny episodes of {steps} steps each, in {workers} worker processes")
        started = time.perf_counter()
        run_experiment(experiment, Path(folder) / "out", RunOptions(workers=workers))
        seconds = time.perf_counter() - started
        summaries = [RunDirectory(path.parent).summary() for path in Path(folder).rglob("summary.json")]
    in_steps = sum(summary.seconds for summary in summaries if summary is not None)
    return {
        "experiment.episodes": episodes,
        "experiment.steps": steps,
        "experiment.workers": workers,
        "experiment.seconds": seconds,
        "experiment.episodes_per_second": episodes / seconds,
        "experiment.percent_in_steps": 100 * in_steps / (workers * seconds),
    }

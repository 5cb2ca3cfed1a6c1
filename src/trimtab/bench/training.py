"""Benchmark of the training step against a straightforward PyTorch loop, in alternation in one process."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trimtab.bench.cases import CASES
from trimtab.bench.flops import matmul_peak, model_flops
from trimtab.bench.reference import ReferenceTraining
from trimtab.bench.timing import interleaved, median_ratio
from trimtab.models import Decoder
from trimtab.records import RunDirectory
from trimtab.runtime.device import GLIBC_MOST, has_native_bf16, keep_freed_memory
from trimtab.training import RunLogger, Trainer
from trimtab.training.config import load_config
from trimtab.training.runs.assembly import Assembly, assemble

STEPS = 10**9
"""Never reached, because the benchmark makes single steps."""


def ours(folder: Path, overrides: tuple[str, ...] = ()) -> tuple[Trainer, Assembly]:
    """The trainer of the default run; it records into `folder` like a real run."""
    assembly = assemble(load_config(None, [f"episode.steps={STEPS}", *overrides]))
    (folder / "checkpoints").mkdir(parents=True)
    trainer = assembly.trainer(RunLogger(RunDirectory(folder)))
    trainer.prepare()
    return trainer, assembly


def stepper(trainer: Trainer, assembly: Assembly) -> Callable[[], object]:
    """One complete training step of Trimtab, with monitoring, guards and records."""
    return lambda: trainer.step(assembly.train_loader)


def _with_glibc_thresholds(step: Callable[[], object]) -> Callable[[], object]:
    """The step under glibc's default memory thresholds."""

    def call() -> None:
        keep_freed_memory(*GLIBC_MOST)
        step()

    return call


def _with_our_thresholds(step: Callable[[], object]) -> Callable[[], object]:
    """The step under the memory thresholds that Trimtab's runs set."""

    def call() -> None:
        keep_freed_memory()
        step()

    return call


def bench_training(case: str = "default", rounds: int = 15, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Measure a training step; returns values by dotted key. Times are medians over rounds, ratios medians of paired ratios.

    `training.CASE.ratio` is the median of (a)/(b): (a) the straightforward fp32 loop, (a') the same under bf16 autocast (only
    where the hardware multiplies bf16), (b) Trimtab with monitoring and records. In each round every variant makes one untimed
    and one timed step. (a) and (a') run under glibc's default memory thresholds.
    """
    chosen = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        trainer, assembly = ours(Path(folder) / "run", chosen.overrides)
        data = assembly.train_loader
        batch = trainer.state.episode.batch_size
        context = int(assembly.config.data.spec["context"])
        dropout = float(assembly.config.model.spec["dropout"])
        variants = {}
        for name, autocast in {"a": False, "a'": True}.items():
            if not autocast or has_native_bf16("cpu"):
                loop = ReferenceTraining(
                    lambda step: data.take(step * batch, batch),
                    autocast=autocast,
                    context=context,
                    dropout=dropout,
                    **chosen.sizes,
                )
                variants[name] = _with_glibc_thresholds(loop.step)
        variants["b"] = _with_our_thresholds(stepper(trainer, assembly))
        say(
            f"{case} ({chosen.title}): {', '.join(variants)} take turns for {rounds} rounds, an untimed and a timed step each"
        )
        times = interleaved(variants, rounds, settle=1)
        medians = {name: statistics.median(values) for name, values in times.items()}
        shares = _shares(trainer, medians["b"])
    model, precision = assembly.model, assembly.config.episode.precision
    assert isinstance(model, Decoder)
    peak = matmul_peak(torch.bfloat16 if precision == "bf16" else torch.float32)
    tokens = batch * context
    flops = model_flops(model, tokens) / medians["b"]
    ratios = [a / b for a, b in zip(times["a"], times["b"], strict=True)]
    figures: dict[str, Any] = {
        "precision": precision,
        "threads": assembly.config.threads,
        "rounds": rounds,
        "tokens_per_second.fp32_loop": tokens / medians["a"],
        "tokens_per_second.ours": tokens / medians["b"],
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "peak_gflops": peak / 1e9,
        "model_gflops": flops / 1e9,
        "share_of_peak": flops / peak,
        **shares,
    }
    if "a'" in times:
        figures["tokens_per_second.autocast_loop"] = tokens / medians["a'"]
        figures["ratio_to_autocast"] = median_ratio(times["a'"], times["b"])
    return {f"training.{case}.{name}": value for name, value in figures.items()}


def _shares(trainer: Trainer, step: float) -> dict[str, float]:
    """The cost of monitoring, logging and checkpoints relative to a step, each timed separately."""
    updater, state = trainer.updater, trainer.state
    regime = state.monitor.observe(state.step, 1.0, 1.0, {})

    def monitor() -> None:
        updater.remember()
        state.monitor.updated(updater.change(layers=True))
        state.monitor.observe(state.step, 1.0, 1.0, {})

    monitoring = _median(monitor)
    logging = _median(lambda: trainer.record(regime, lr=1e-3, skipped=False, aux={}, seconds=step))
    checkpoint = _median(trainer.checkpoint, rounds=5)
    return {
        "monitoring_share": monitoring / step,
        "logging_share": logging / step,
        "checkpoint_share": checkpoint / (state.episode.checkpoint_every * step),
        "checkpoint_seconds": checkpoint,
    }


def _median(work: Callable[[], Any], rounds: int = 21) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)

"""Benchmark of quality: paired runs of the straightforward loop and of Trimtab, with the same weights and batches."""

import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trimtab.bench.reference import ReferenceTraining
from trimtab.bench.training import ours
from trimtab.data import EvaluationLoader
from trimtab.models import Decoder

MARGIN = 0.02
"""The largest acceptable mean paired difference, in nats per token."""


def bench_quality(seeds: int = 6, steps: int = 300, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train both on `seeds` paired seeds for `steps` steps; returns each pair's validation losses and their difference.

    Both evaluate all windows of the validation split, each in its own precision. The difference is Trimtab's loss minus the
    loop's, in nats per token; the result has its mean and standard deviation over the pairs.
    """
    pairs = []
    for seed in range(seeds):
        plain, fast = _pair(seed, steps)
        pairs.append({"seed": seed, "fp32_loop": plain, "ours": fast, "difference": fast - plain})
        say(f"seed {seed}: fp32 loop {plain:.4f}, ours {fast:.4f}, difference {fast - plain:+.4f}")
    differences = [pair["difference"] for pair in pairs]
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences) if seeds > 1 else math.nan
    return {
        "quality.pairs": pairs,
        "quality.steps": steps,
        "quality.mean_difference": mean,
        "quality.sd_difference": spread,
        "quality.within_margin": abs(mean) <= MARGIN,
    }


def _pair(seed: int, steps: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        trainer, assembly = ours(Path(folder) / "run", (f"seed={seed}",))
        data, batch = assembly.train_loader, assembly.config.episode.batch_size
        plain = ReferenceTraining(lambda step: data.take(step * batch, batch), autocast=False, seed=seed)
        assert isinstance(assembly.model, Decoder)
        plain.load(assembly.model)
        for _ in range(steps):
            plain.step()
            trainer.step(data)
        validation = EvaluationLoader(assembly.data.validation, batch)
        reference = _reference_loss(plain, validation)
        return reference, float(trainer.evaluate(validation)["val_loss"])


@torch.no_grad()
def _reference_loss(plain: ReferenceTraining, loader: EvaluationLoader) -> float:
    plain.model.eval()
    total, count = 0.0, 0
    for position in range(0, loader.samples, loader.batch_size):
        inputs, _, labels, _ = loader.take(position, loader.batch_size).shifted()
        logits = plain.model(inputs)
        total += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum"))
        count += int((labels != -100).sum())
    return total / count

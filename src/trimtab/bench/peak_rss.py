"""Peak resident memory of the training variants, each in a separate process."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from trimtab.records import peak_rss_mb
from trimtab.runtime.device import has_native_bf16

VARIANTS = ("fp32_loop", "autocast_loop", "ours")
STEPS = 4


def peak_memory() -> dict[str, float]:
    """Peak resident memory of a few training steps in MiB; the bf16 loop only where the hardware multiplies bf16."""
    peaks = {}
    for variant in VARIANTS:
        if variant == "autocast_loop" and not has_native_bf16("cpu"):
            continue
        done = subprocess.run(
            [sys.executable, "-P", "-m", "trimtab.bench.peak_rss", variant], capture_output=True, text=True, check=True
        )
        peaks[f"training.peak_rss_mb.{variant}"] = float(done.stdout.split()[-1])
    return peaks


def _run(variant: str) -> None:
    from trimtab.bench.reference import ReferenceTraining
    from trimtab.bench.training import ours, stepper

    with tempfile.TemporaryDirectory() as folder:
        # All variants have the same imports and corpus, so that only the loop differs.
        trainer, assembly = ours(Path(folder) / "run")
        batch = trainer.state.episode.batch_size
        step: Callable[[], object]
        if variant == "ours":
            step = stepper(trainer, assembly)
        else:
            data = assembly.train_loader
            del trainer
            step = ReferenceTraining(
                lambda step: data.take(step * batch, batch), autocast=variant == "autocast_loop"
            ).step
        for _ in range(STEPS):
            step()
    print(peak_rss_mb())


if __name__ == "__main__":
    _run(sys.argv[1])

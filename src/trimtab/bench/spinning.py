"""Benchmark of OpenMP's spin count: speed by spin count, alone, next to a busy process, and next to a second run."""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.bench.cases import TINY

SETTINGS: dict[str, dict[str, str]] = {
    "library": {"GOMP_SPINCOUNT": "300000"},
    **{f"spin_{count}": {"GOMP_SPINCOUNT": str(count)} for count in (100, 300, 1000, 3000, 10_000)},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}
"""The settings to compare, by name: environment variables that libgomp reads when torch loads it. `library` is its default."""

VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
SITUATIONS = ("alone", "beside_busy", "two_runs")


def bench_spinning(
    workloads: tuple[str, ...], settings: tuple[str, ...], seconds: float, rounds: int, say: Callable[[str], None]
) -> dict[str, float]:
    """Relative rates, each the median over `rounds` in which all settings alternate.

    `WORK.SETTING.alone` is the rate of two threads alone divided by that of the setting `library`. `WORK.SETTING.beside_busy` and
    `WORK.SETTING.two_runs` (the mean of both runs) are divided by the rate of one thread alone, which is `WORK.one_thread`, in
    units per second.
    """
    rates: dict[tuple[str, str, str], list[float]] = {}
    for turn in range(rounds):
        for work in workloads:
            one = _rate(work, "library", 1, "alone", seconds)
            rates.setdefault((work, "one_thread", "alone"), []).append(one)
            for situation, name in itertools.product(SITUATIONS, settings if turn % 2 == 0 else settings[::-1]):
                rate = _rate(work, name, 2, situation, seconds)
                rates.setdefault((work, name, situation), []).append(rate)
                say(
                    f"round {turn + 1}: {work}, {name}, {situation}: {rate:.4g} units/s ({rate / one:.0%} of one thread)"
                )
    medians = {key: statistics.median(values) for key, values in rates.items()}
    figures = {f"{work}.one_thread": medians[work, "one_thread", "alone"] for work in workloads}
    for (work, name, situation), rate in medians.items():
        if name != "one_thread":
            base = medians[work, *(("library", "alone") if situation == "alone" else ("one_thread", "alone"))]
            figures[f"{work}.{name}.{situation}"] = rate / base
    return figures


def _rate(work: str, setting: str, threads: int, situation: str, seconds: float) -> float:
    """Units of work per second in a separate process; the mean of both if two run at the same time."""
    with _busy() if situation == "beside_busy" else _nothing():
        processes = [_start(work, setting, threads, seconds) for _ in range(2 if situation == "two_runs" else 1)]
        outputs = [process.communicate()[0] for process in processes]
    for process in processes:
        if process.returncode:
            raise RuntimeError(f"the measured process of {work} under {setting} ended with {process.returncode}")
    return statistics.mean(float(output.split()[-1]) for output in outputs)


def _start(work: str, setting: str, threads: int, seconds: float) -> "subprocess.Popen[str]":
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    command = [sys.executable, "-P", "-m", "trimtab.bench.spinning", work, str(threads), str(seconds)]
    return subprocess.Popen(command, env=environment | SETTINGS[setting], stdout=subprocess.PIPE, text=True)


@contextmanager
def _busy() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-P", "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _measure(work: str, threads: int, seconds: float) -> float:
    """Units (steps, generated tokens or pair-steps) per second over `seconds`, after one unit that is not timed."""
    with tempfile.TemporaryDirectory() as folder:
        unit, size = _UNITS[work](threads, Path(folder))
        unit()
        done, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            unit()
            done += size
        return done / (time.perf_counter() - started)


def _training(overrides: tuple[str, ...]) -> Callable[[int, Path], tuple[Callable[[], object], int]]:
    def work(threads: int, folder: Path) -> tuple[Callable[[], object], int]:
        from trimtab.bench.training import ours, stepper

        trainer, assembly = ours(folder / "run", (f"threads={threads}", *overrides))
        return stepper(trainer, assembly), 1

    return work


def _generation(threads: int, folder: Path) -> tuple[Callable[[], object], int]:
    import torch

    from trimtab.config.model_paths import imported_models
    from trimtab.generation import complete
    from trimtab.models.pretrained.model import Pretrained

    torch.set_num_threads(threads)
    model = Pretrained(path=str(imported_models() / "smollm2-135m"), adapt=()).eval()
    prompt = torch.arange(100, 116)
    return lambda: complete(model, [prompt], 4, generator=torch.Generator(), temperature=0.0), 4


def _memory(threads: int, folder: Path) -> tuple[Callable[[], object], int]:
    import torch

    from trimtab.bench.content_memory import TEXTS, pair_steps
    from trimtab.config.model_paths import imported_models

    torch.set_num_threads(threads)
    return pair_steps(str(imported_models() / "smollm2-135m"), vectors=8), len(TEXTS)


_UNITS: dict[str, Callable[[int, Path], tuple[Callable[[], object], int]]] = {
    "training": _training(()),
    "tiny_training": _training(TINY),
    "generation": _generation,
    "memory": _memory,
}
WORKLOADS = tuple(_UNITS)
"""The kinds of work: the default training step, one of 0.1 million parameters, generation for one prompt, memory pair-steps."""


if __name__ == "__main__":
    print(_measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))

"""Small runs for the tests of training."""

import os
import subprocess
from pathlib import Path

from tests.fork_server import Command
from trimtab.records import RunDirectory
from trimtab.training.config import RunConfig, load_config

ROOT = Path(__file__).parents[2]

SMALL = [
    "data.context=32",
    "data.stride=32",
    "model={name: 'tests.tiny:TinyModel'}",
    "episode.steps=24",
    "episode.batch_size=4",
    "episode.evaluate_every=8",
    "episode.evaluation_windows=8",
    "episode.checkpoint_every=6",
    "episode.sample.tokens=0",
    "threads=1",
]
"""A run of a user's own model (dropout from torch's global stream) that takes a fraction of a second."""

DECODER = [
    *(item for item in SMALL if not item.startswith("model=")),
    "model={name: decoder, layers: 2, width: 32, heads: 2, ff: 64}",
]
"""The same with the shipped decoder."""

EVERYTHING = [
    "episode.accumulation=2",
    "hooks=[{name: activation_stats, every: 3}, {name: gradient_identity}, {name: gradient_noise}, {name: gradient_clip},"
    " {name: gradient_projection, rank: 8}]",
    "episode.regime_controller={name: 'tests.training.parts:Brake'}",
    "episode.schedule={name: cosine, warmup: 4}",
    "episode.sample.tokens=8",
]
"""Accumulation, a controller with memory, the hooks that ship (but for learning rules), a schedule and samples."""


def config(*overrides: str, base: list[str] = SMALL) -> RunConfig:
    return load_config(None, [*base, *overrides])


def command(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a process of its own."""
    return started(*arguments, cwd=cwd).finish(300)


def started(*arguments: str, cwd: Path = ROOT, merged: bool = False) -> Command:
    """A command line at work in a process of its own."""
    return Command(*arguments, cwd=cwd, env=environment(), merged=merged)


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "COLUMNS": "200",
    }


def options(overrides: list[str]) -> list[str]:
    return [part for item in overrides for part in ("--set", item)]


def weights(out: Path) -> str | None:
    """The recorded hash of the weights that a run ended with."""
    summary = RunDirectory(out).summary()
    assert summary is not None
    return summary.weights_sha256

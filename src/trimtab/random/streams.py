"""Independent random generators, one per purpose, so that using one never changes another."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from trimtab.random.seeds import derive_seed

PURPOSES = (
    "init",
    "data",
    "dropout",
    "evaluation",
    "sampling",
    "search",
    "noise",
    "faults",
    "controller",
    "instruments",
)


class Streams:
    """The named random streams of one run.

    `streams[purpose]` is a CPU `torch.Generator` that advances with every draw. `streams.at(purpose, *position)` is a new
    generator whose seed depends on the position (a step, an epoch) only, so earlier draws do not change later ones; the trainer
    uses it for `dropout` and `noise` at every step, and for the data order at every epoch.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators = {name: torch.Generator().manual_seed(derive_seed(seed, name)) for name in PURPOSES}

    def __getitem__(self, purpose: str) -> torch.Generator:
        _check(purpose)
        return self._generators[purpose]

    def at(self, purpose: str, *position: str | int) -> torch.Generator:
        """A new generator for `purpose` at `position`; `streams[purpose]` does not change."""
        _check(purpose)
        return torch.Generator().manual_seed(derive_seed(self.seed, purpose, *position))

    def state_dict(self) -> dict[str, str]:
        """The state of every stream, base64 (JSON-ready)."""
        return {
            name: base64.b64encode(generator.get_state().numpy().tobytes()).decode()
            for name, generator in self._generators.items()
        }

    def load_state_dict(self, state: dict[str, str]) -> None:
        """Set the streams to a state that `state_dict` gave; streams that it does not contain are kept."""
        for name, text in state.items():
            self[name].set_state(torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=np.uint8).copy()))


def _check(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise KeyError(f"no random stream '{purpose}'; there are {', '.join(PURPOSES)}")


@contextmanager
def global_stream(generator: torch.Generator) -> Iterator[None]:
    """Run code that draws from torch's global generators with a CPU `generator` instead, and restore the global ones.

    The CPU's global generator continues from `generator`'s state, which advances with it. CUDA's generators, if CUDA is in use,
    are seeded with one number drawn from it.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        seed = int(torch.randint(1 << 62, (), generator=generator))
        devices = torch.cuda.get_rng_state_all()
        torch.cuda.manual_seed_all(seed)
        try:
            with _cpu_stream(generator):
                yield
        finally:
            torch.cuda.set_rng_state_all(devices)
    else:
        with _cpu_stream(generator):
            yield


@contextmanager
def _cpu_stream(generator: torch.Generator) -> Iterator[None]:
    saved = torch.random.get_rng_state()
    torch.random.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.random.get_rng_state())
        torch.random.set_rng_state(saved)

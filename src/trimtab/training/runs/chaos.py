"""Whether a recorded run is chaotic at a step: twins forked there, a little apart, and how fast they part."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab.config import ConfigError, RunError, allowing_code
from trimtab.data import Progress
from trimtab.records import Manifest, RunDirectory, refuse_changes
from trimtab.regimes.instruments import batch_means_interval
from trimtab.runtime.logger import MemoryLogger
from trimtab.training.builtins.perturbed import Coordinates, distances, exponent
from trimtab.training.loop.excursion import Futures, excursion
from trimtab.training.runs.assembly import Assembly, assemble
from trimtab.training.runs.conditions import conditions_of, differences
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import restore_run, state_after_step

OnProgress = Callable[[int, int], None]
"""Takes how many of the steps are made, and how many there are in all."""


def chaos(
    path: Path | str,
    at: int,
    *,
    steps: int = 100,
    epsilon: float = 1e-5,
    twins: int = 3,
    renormalise_every: int = 1,
    discard: int = 20,
    accept_changes: bool = False,
    allow_code: bool = False,
    progress: Progress | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> dict[str, Any]:
    """Follow `twins` twins of the run in `path` from its state after step `at`, and measure how they part.

    A twin's parameters and optimiser moments differ from the run's by random shares of themselves, `epsilon` in relative
    length (see `Coordinates`). All make the run's own next `discard` + `steps` steps in fp32: once left alone, once pulled
    back to `epsilon` every `renormalise_every` steps, which gives the exponent; its first `discard` steps, in which a
    difference turns to its fastest growing direction, are not counted. Nothing of the run is changed.

    Returns what `chaos.json` holds: `exponent` (mean over the twins, nats a step), `interval` (95%, from batch means of the
    twins' mean rate; None below 50 measurements), and for each twin its exponent, rates and distances.

    Raises:
        ConfigError: a number that makes no sense, such as an `epsilon` that is not positive.
        RunError: no such run or step, too few steps left, or something that changed since, unless `accept_changes`; a config that
            names code (a dotted path), unless `allow_code`.
    """
    _check(at, steps, epsilon, twins, renormalise_every, discard)
    run = RunDirectory(path)
    manifest, horizon = run.manifest(), discard + steps
    with allowing_code(allow_code):
        assembly = _assembly(run, manifest, at, horizon, accept_changes=accept_changes, progress=progress)
        start = state_after_step(run.path, at, progress)
    assert start is not None  # only step 0 has no state
    trainer = assembly.trainer(MemoryLogger())
    restore_run(assembly, trainer, start, manifest.run_id, manifest.parent)
    trainer.prepare()
    done, total = 0, (3 * twins + 1) * horizon

    def count() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    with excursion(trainer):
        futures = Futures(trainer, assembly.train_loader)
        coordinates = Coordinates(futures.begin, list(trainer.updater.parameters))
        draws = [trainer.state.streams.at("instruments", "chaos", at, twin) for twin in range(twins)]
        directions = [coordinates.direction(futures.begin, generator) for generator in draws]
        alone = distances(futures, coordinates, directions, steps=horizon, epsilon=epsilon, on_step=count)
        try:
            rates = [
                exponent(
                    futures,
                    coordinates,
                    direction,
                    steps=horizon,
                    epsilon=epsilon,
                    every=renormalise_every,
                    on_step=count,
                ).rates
                for direction in directions
            ]
        except ValueError as error:
            raise ConfigError(f"--epsilon: {error}.") from error
    return {
        "run": str(run.path),
        "run_id": manifest.run_id,
        "at": at,
        "steps": steps,
        "discard": discard,
        "epsilon": epsilon,
        "renormalise_every": renormalise_every,
        "precision": "fp32",
        **_summary(rates, alone, discard // renormalise_every),
    }


def _assembly(
    run: RunDirectory, manifest: Manifest, at: int, horizon: int, *, accept_changes: bool, progress: Progress | None
) -> Assembly:
    """The run's parts, which are what they were and have `horizon` steps left after step `at`."""
    config = recorded_config(manifest, run)
    if at + horizon > config.episode.steps:
        raise RunError(
            f"After step {at} the run in {run.path} has {max(0, config.episode.steps - at)} steps left, and the twins are to "
            f"make {horizon} (--discard and --steps): beyond its last step, {config.episode.steps}, its schedule says nothing. "
            "Choose an earlier --at, or smaller --steps and --discard."
        )
    assembly = assemble(config, progress)
    if not accept_changes:
        changes = differences(manifest, conditions_of(assembly))
        refuse_changes(run.path, changes, "Its copies would train as another run.", "measure with --accept-changes")
    return assembly


def _check(at: int, steps: int, epsilon: float, twins: int, renormalise_every: int, discard: int) -> None:
    if not 0 < epsilon < 1:
        raise ConfigError(
            f"--epsilon: {epsilon} is no relative distance of a twin; give one between 0 and 1, such as 1e-5."
        )
    if at < 1:
        raise ConfigError(
            f"--at: after step {at} the optimiser has no moments yet that a twin could differ in; choose step 1 or a later one."
        )
    if twins < 1 or steps < 1 or renormalise_every < 1 or discard < 0:
        raise ConfigError(
            f"Twins, steps and the steps between renormalisations are 1 at least, and discard is not negative; found {twins}, "
            f"{steps}, {renormalise_every} and {discard}."
        )
    if steps % renormalise_every or discard % renormalise_every:
        raise ConfigError(
            f"--renormalise-every: {renormalise_every} does not divide both --steps ({steps}) and --discard ({discard}), which "
            "are counted in whole measurements."
        )


def _summary(rates: list[tuple[float, ...]], alone: list[list[float]], discard: int) -> dict[str, Any]:
    counted = [list(own[discard:]) or [math.nan] for own in rates]
    exponents = [math.fsum(own) / len(own) for own in counted]
    together = [math.fsum(values) / len(values) for values in zip(*counted, strict=False)]
    return {
        "exponent": math.fsum(exponents) / len(exponents),
        "interval": batch_means_interval(together),
        "lowest": min(exponents),
        "highest": max(exponents),
        "twins": [
            {"exponent": mean, "interval": batch_means_interval(own), "rates": list(every), "distances": free}
            for mean, own, every, free in zip(exponents, counted, rates, alone, strict=True)
        ],
    }

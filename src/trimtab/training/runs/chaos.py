"""Whether a recorded run is chaotic at a step: how fast slightly perturbed copies of its state move away from it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab.config import ConfigError, RunError, allowing_code
from trimtab.data import BatchSource
from trimtab.records import Manifest, RunDirectory, refuse_changes
from trimtab.regimes.instruments import batch_means_interval
from trimtab.runtime.events import OnEvent, Progress, Stage
from trimtab.runtime.logger import MemoryLogger
from trimtab.training.builtins.perturbed import Coordinates, distances, exponent
from trimtab.training.loop.excursion import Continuations, excursion
from trimtab.training.loop.trainer import Trainer
from trimtab.training.runs.assembly import Assembly, assemble
from trimtab.training.runs.conditions import conditions_of, differences
from trimtab.training.runs.recorded import recorded_config
from trimtab.training.runs.state_after_step import restore_run, state_after_step

STAGE = "perturbed copies"
"""The stage of the events that count the steps."""


def chaos(
    path: Path | str,
    at: int,
    *,
    steps: int = 100,
    epsilon: float = 1e-5,
    copies: int = 3,
    renormalise_every: int = 1,
    discard: int = 20,
    accept_changes: bool = False,
    allow_code: bool = False,
    events: OnEvent | None = None,
) -> dict[str, Any]:
    """Train perturbed copies of the run in `path` from its state after step `at`, and measure how fast they move away from it.

    Each copy's parameters and optimiser moments are perturbed in a random direction; the length of the perturbation is `epsilon`
    relative to theirs (see `Coordinates`). Each makes the run's own next `discard` + `steps` steps in fp32 twice: once freely,
    and once rescaled to the distance `epsilon` every `renormalise_every` steps, which gives the exponent. The first `discard`
    steps, in which the difference aligns with its fastest growing direction, are not counted. The run is not changed.

    Returns what `chaos.json` holds: `exponent` (mean over the copies, nats per step), `interval` (95%, from batch means of
    their mean rate; None below 50 measurements), and for each copy its exponent, rates and distances (`copies`).

    Raises:
        ConfigError: a number out of range, such as an `epsilon` that is not positive.
        RunError: no such run or step, too few steps left, changed conditions (unless `accept_changes`), or a config that names
            code by a dotted path (unless `allow_code`).
    """
    _check(at, steps, epsilon, copies, renormalise_every, discard)
    run = RunDirectory(path)
    manifest, horizon = run.manifest(), discard + steps
    with allowing_code(allow_code):
        assembly = _assembly(run, manifest, at, horizon, accept_changes=accept_changes, events=events)
        start = state_after_step(run.path, at, events)
    assert start is not None  # only step 0 has no state
    trainer = assembly.trainer(MemoryLogger())
    restore_run(assembly, trainer, start, manifest.run_id, manifest.parent)
    trainer.prepare()
    done, total = 0, (3 * copies + 1) * horizon
    if events is not None:
        events(Stage(STAGE, "step", total))

    def count() -> None:
        nonlocal done
        done += 1
        if events is not None:
            events(Progress(STAGE, "step", done, total))

    alone, rates = _follow(
        trainer,
        assembly.train_loader,
        at,
        copies=copies,
        steps=horizon,
        epsilon=epsilon,
        every=renormalise_every,
        on_step=count,
    )
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


def _follow(
    trainer: Trainer,
    loader: BatchSource,
    at: int,
    *,
    copies: int,
    steps: int,
    epsilon: float,
    every: int,
    on_step: Callable[[], None],
) -> tuple[list[list[float]], list[tuple[float, ...]]]:
    """The distances of each copy left alone, and the rates of each copy that is pulled back every so many steps."""
    with excursion(trainer):
        futures = Continuations(trainer, loader)
        coordinates = Coordinates(futures.start, list(trainer.updater.parameters))
        draws = [trainer.state.streams.at("instruments", "chaos", at, copy) for copy in range(copies)]
        directions = [coordinates.direction(futures.start, generator) for generator in draws]
        shared: Any = {"steps": steps, "epsilon": epsilon, "on_step": on_step}
        alone = distances(futures, coordinates, directions, **shared)
        try:
            rates = [exponent(futures, coordinates, one, every=every, **shared).rates for one in directions]
        except ValueError as error:
            raise ConfigError(f"--epsilon: {error}.") from error
    return alone, rates


def _assembly(
    run: RunDirectory, manifest: Manifest, at: int, horizon: int, *, accept_changes: bool, events: OnEvent | None
) -> Assembly:
    """The run's parts. Raises `RunError` where fewer than `horizon` steps are left after step `at`, or conditions changed."""
    config = recorded_config(manifest, run)
    if at + horizon > config.episode.steps:
        raise RunError(
            f"After step {at} the run in {run.path} has {max(0, config.episode.steps - at)} steps left, and the copies "
            f"need {horizon} (--discard and --steps): the schedule ends with step {config.episode.steps}. "
            "Choose an earlier --at, or smaller --steps and --discard."
        )
    assembly = assemble(config, events)
    if not accept_changes:
        changes = differences(manifest, conditions_of(assembly))
        refuse_changes(
            run.path, changes, "The copies would not follow the recorded run.", "measure with --accept-changes"
        )
    return assembly


def _check(at: int, steps: int, epsilon: float, copies: int, renormalise_every: int, discard: int) -> None:
    if not 0 < epsilon < 1:
        raise ConfigError(
            f"--epsilon: the relative distance of a copy is between 0 and 1, such as 1e-5; found {epsilon}."
        )
    if at < 1:
        raise ConfigError(
            f"--at: after step {at} the optimiser has no moments yet to perturb. Choose step 1 or a later one."
        )
    if copies < 1 or steps < 1 or renormalise_every < 1 or discard < 0:
        raise ConfigError(
            f"--copies, --steps and --renormalise-every are at least 1, and --discard is at least 0; found {copies}, {steps}, "
            f"{renormalise_every} and {discard}."
        )
    if steps % renormalise_every or discard % renormalise_every:
        raise ConfigError(
            f"--renormalise-every: {renormalise_every} does not divide both --steps ({steps}) and --discard ({discard}). Choose "
            "multiples of it."
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
        "copies": [
            {"exponent": mean, "interval": batch_means_interval(own), "rates": list(every), "distances": free}
            for mean, own, every, free in zip(exponents, counted, rates, alone, strict=True)
        ],
    }

"""Perturbed copies of a run: their steps are those of the run, and copies without a perturbation stay equal."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.training.small_runs import DECODER, SMALL, config
from trimtab.records import tensors_sha256
from trimtab.runtime.nested import named_tensors
from trimtab.training import MemoryLogger, Trainer
from trimtab.training.builtins.perturbed import Coordinates, distances, exponent
from trimtab.training.loop.excursion import Continuations, excursion
from trimtab.training.runs.assembly import Assembly, assemble

FP32 = "episode.precision=fp32"


def prepared(steps: int, *changes: str, base: list[str] = DECODER) -> tuple[Trainer, Assembly]:
    assembly = assemble(config(FP32, *changes, base=base))
    trainer = assembly.trainer(MemoryLogger())
    trainer.prepare()
    for _ in range(steps):
        trainer.step(assembly.train_loader)
    return trainer, assembly


@contextmanager
def copies(steps: int, *changes: str, base: list[str] = DECODER) -> Iterator[tuple[Continuations, Coordinates]]:
    trainer, assembly = prepared(steps, *changes, base=base)
    with excursion(trainer):
        futures = Continuations(trainer, assembly.train_loader)
        yield futures, Coordinates(futures.start, list(trainer.updater.parameters))


@pytest.mark.parametrize("base", [SMALL, DECODER], ids=["user's model", "decoder"])
def test_the_steps_of_futures_are_those_of_the_run(base: list[str]) -> None:
    trainer, assembly = prepared(6, base=base)
    before = trainer.state.snapshot().copied()
    with excursion(trainer):
        futures = Continuations(trainer, assembly.train_loader)
        ahead = futures.start
        for _ in range(5):
            ahead = futures.step(ahead)
    after = trainer.state.snapshot()
    assert tensors_sha256(before.model) == tensors_sha256(after.model)
    assert tensors_sha256(before.optimizer) == tensors_sha256(after.optimizer)
    assert before.values == after.values
    for _ in range(5):
        trainer.step(assembly.train_loader)
    assert tensors_sha256(named_tensors(trainer.state.model)) == tensors_sha256(ahead.model)
    assert tensors_sha256(trainer.state.snapshot().optimizer) == tensors_sha256(ahead.optimizer)


def test_an_error_in_an_excursion_leaves_the_run_unchanged() -> None:
    trainer, assembly = prepared(3)
    before = tensors_sha256(named_tensors(trainer.state.model))
    with pytest.raises(KeyError), excursion(trainer):
        trainer.step(assembly.train_loader)
        raise KeyError
    assert tensors_sha256(named_tensors(trainer.state.model)) == before
    assert not trainer.state.hooks.muted and not trainer.state.instruments.muted


@pytest.mark.parametrize("base", [SMALL, DECODER], ids=["user's model", "decoder"])
def test_copies_without_a_perturbation_stay_equal(base: list[str]) -> None:
    with copies(4, base=base) as (futures, coordinates):
        direction = coordinates.direction(futures.start, torch.Generator().manual_seed(0))
        assert distances(futures, coordinates, [direction], steps=8, epsilon=0.0) == [[0.0] * 9]
        (apart,) = distances(futures, coordinates, [direction], steps=8, epsilon=1e-4)
    assert apart[0] == pytest.approx(1e-4, rel=0.05) and min(apart) > 0


def test_lengths_are_relative_to_each_block() -> None:
    with copies(4) as (futures, coordinates):
        blocks = {block for block, _, _ in coordinates.names}
        assert blocks == {"parameters", "exp_avg", "exp_avg_sq"}
        state = coordinates.read(futures.start)
        assert coordinates.length(state) == pytest.approx(1.0)
        only = [
            piece if block == "exp_avg_sq" else piece * 0
            for piece, (block, _, _) in zip(state, coordinates.names, strict=True)
        ]
        assert coordinates.length(only) == pytest.approx(math.sqrt(1 / 3))
        negative = coordinates.write(futures.start, [-piece for piece in state])
        assert all(tensor.min() >= 0 for name, tensor in negative.optimizer.items() if name.endswith("exp_avg_sq"))
        assert any(tensor.min() < 0 for name, tensor in negative.optimizer.items() if name.endswith("exp_avg"))


def test_the_exponent_is_the_same_over_a_decade_of_epsilon() -> None:
    changes = ["episode.optimizer={name: adamw, lr: 0.02}", "episode.steps=200"]
    with copies(20, *changes) as (futures, coordinates):
        direction = coordinates.direction(futures.start, torch.Generator().manual_seed(0))
        exponents = [
            exponent(futures, coordinates, direction, steps=40, epsilon=epsilon, every=1, discard=20).exponent
            for epsilon in (1e-5, 3e-5, 1e-4)
        ]
    assert max(exponents) - min(exponents) < 0.1 * abs(exponents[1]), exponents


def test_the_exponent_is_nan_if_only_one_of_two_copies_rewinds() -> None:
    with copies(
        4,
        "episode.regime_controller={name: 'tests.training.parts:RewindsEverySecondCall'}",
        "episode.rewind={every: 2}",
    ) as (
        futures,
        coordinates,
    ):
        direction = coordinates.direction(futures.start, torch.Generator().manual_seed(0))
        measured = exponent(futures, coordinates, direction, steps=20, epsilon=1e-3, every=1)
    assert math.isnan(measured.exponent) and measured.steps < 20

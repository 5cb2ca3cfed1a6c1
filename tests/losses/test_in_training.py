"""Losses from a config, in the trainer's own steps."""

from typing import Any

import pytest

from tests.training.small_runs import DECODER, config
from trimtab.training import MemoryLogger
from trimtab.training.runs.assembly import assemble

LOSS = (
    "episode.loss={name: sum, terms: [{name: cross_entropy}, {name: number_token, weight: 0.3}, "
    "{name: ranked_probability, weight: 0.2}, {name: confidence_penalty, weight: 0.1}, {name: activation_norm, weight: 0.1}]}"
)


def first_step(*overrides: str) -> dict[str, Any]:
    still = ("model.dropout=0.0", "episode.steps=1", "episode.precision=fp32", "hooks=[{name: collect_activations}]")
    assembly, log = assemble(config(LOSS, *still, *overrides, base=DECODER)), MemoryLogger()
    assembly.trainer(log).train(assembly.train_loader, assembly.val_loader)
    row: dict[str, Any] = log.steps[0]
    return row


def test_eight_micro_batches_of_one_equal_one_of_eight() -> None:
    one = first_step("episode.batch_size=8", "episode.accumulation=1")
    eight = first_step("episode.batch_size=1", "episode.accumulation=8")
    names = ["cross_entropy", "number_token", "ranked_probability", "confidence_penalty", "activation_norm"]
    assert list(one["aux"]) == list(eight["aux"]) == names
    assert one["aux"]["number_token"] > 0
    for key in ("train_loss", "grad_norm"):
        assert eight[key] == pytest.approx(one[key], rel=1e-6)
    assert eight["aux"] == pytest.approx(one["aux"], rel=1e-6)
    weights = (1, 0.3, 0.2, 0.1, 0.1)
    expected = sum(weight * one["aux"][name] for weight, name in zip(weights, names, strict=True))
    assert one["train_loss"] == pytest.approx(expected, rel=1e-6)

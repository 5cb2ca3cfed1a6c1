"""Every optimiser trains, resumes exactly and follows the schedule."""

from pathlib import Path

import pytest
import torch

from tests.tiny import TinyModel
from tests.training.small_runs import DECODER, config
from trimtab.config import REGISTRIES
from trimtab.records import RunDirectory
from trimtab.training import RunContext, resume, train
from trimtab.training.loop.optimizer import multiply_rates, set_learning_rate
from trimtab.training.runs.assembly import assemble, build


@pytest.mark.parametrize(
    "spec",
    [
        "{name: adamw, lr: 3e-3}",
        "{name: sgd, lr: 0.5}",
        "{name: adafactor, lr: 0.1}",
        "{name: muon, lr: 0.01, adamw_lr: 3e-3}",
    ],
)
def test_every_optimizer_lowers_the_loss_and_resumes_exactly(tmp_path: Path, spec: str) -> None:
    changes = [
        f"episode.optimizer={spec}",
        "episode.steps=40",
        "episode.schedule={name: linear, warmup: 5, final: 0.1}",
    ]
    whole = train(config(*changes, base=DECODER), tmp_path / "whole")
    rows = RunDirectory(tmp_path / "whole").steps()
    assert rows[-1]["loss_ema"] < rows[0]["train_loss"] - 0.2
    stop = iter([None] * 20 + ["test"] * 99)
    train(config(*changes, base=DECODER), tmp_path / "run", RunContext(stop=lambda: next(stop)))
    assert resume(tmp_path / "run")["weights_sha256"] == whole["weights_sha256"]


def test_weight_decay_is_on_matrices_only() -> None:
    parts = assemble(config(base=DECODER))
    optimizer = build("optimizer", parts.config.episode.optimizer, parameters=parts.model.named_parameters())
    for group in optimizer.param_groups:
        assert {p.ndim >= 2 for p in group["params"]} == {group["weight_decay"] > 0}
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == len(list(parts.model.parameters()))


def test_muon_updates_hidden_matrices_and_adamw_the_rest() -> None:
    parts = assemble(config("episode.optimizer={name: muon}", base=DECODER))
    optimizer = build("optimizer", parts.config.episode.optimizer, parameters=parts.model.named_parameters())
    names = {id(p): name for name, p in parts.model.named_parameters()}
    hidden = {names[id(p)] for group in optimizer.parts[0].param_groups for p in group["params"]}
    rest = {names[id(p)] for group in optimizer.parts[1].param_groups for p in group["params"]}
    assert hidden
    assert all(name.startswith("blocks.") for name in hidden)
    assert not hidden & rest
    assert hidden | rest == set(names.values())


@pytest.mark.parametrize("spec", ["adamw", "sgd", "muon"])
def test_parameters_get_multiples_of_the_learning_rate(spec: str) -> None:
    """Parameters with a multiplier learn at that multiple, under the schedule too; the others as ever."""
    model = TinyModel(vocabulary=9, context=4)
    optimizer = REGISTRIES["optimizer"].build(
        REGISTRIES["optimizer"].resolve({"name": spec}), parameters=model.named_parameters()
    )
    before = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    multiply_rates(optimizer, model.named_parameters(), {"head.weight": 10.0, "head.bias": 10.0, "embed.weight": 0.5})
    base = set_learning_rate(optimizer, 0.5)
    after = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert before.keys() == after.keys() and base == 0.5 * next(iter(before.values()))
    expected = {"head.weight": 5.0, "head.bias": 5.0, "embed.weight": 0.25}
    for name, parameter in model.named_parameters():
        assert after[id(parameter)] == pytest.approx(before[id(parameter)] * expected.get(name, 0.5))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


@pytest.mark.parametrize("trained", ["embed", "blocks"])
def test_muon_leaves_frozen_parameters_alone(trained: str) -> None:
    model = TinyModel(vocabulary=9, context=4)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    optimizer = REGISTRIES["optimizer"].build(
        REGISTRIES["optimizer"].resolve({"name": "muon"}), parameters=model.named_parameters()
    )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}

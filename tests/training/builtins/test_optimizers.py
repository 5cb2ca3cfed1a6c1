"""Every optimiser trains, resumes exactly and follows the schedule."""

from pathlib import Path

import pytest
import torch

from tests.tiny import TinyModel
from tests.training.small_runs import DECODER, config
from trimtab.config import REGISTRIES, RunError
from trimtab.records import RunDirectory
from trimtab.training import RunContext, resume, train
from trimtab.training.loop.optimizer import load_moments, moments, multiply_rates, set_learning_rate
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


@pytest.mark.parametrize("spec", ["adamw", "sgd", "muon", "adafactor"])
def test_moments_stay_with_their_parameters_whatever_the_rates(spec: str) -> None:
    """A fork may give parameters rates of their own, in groups of another order than its parent's."""

    def made(multipliers: dict[str, float]) -> tuple[TinyModel, torch.optim.Optimizer]:
        model = TinyModel(vocabulary=9, context=4)
        optimizer = REGISTRIES["optimizer"].build(
            REGISTRIES["optimizer"].resolve({"name": spec}), parameters=model.named_parameters()
        )
        multiply_rates(optimizer, model.named_parameters(), multipliers)
        return model, optimizer

    def held(model: TinyModel, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, torch.Tensor]]:
        parts = getattr(optimizer, "parts", [optimizer])
        return {name: next(part.state[p] for part in parts if p in part.state) for name, p in model.named_parameters()}

    model, parent = made({"embed.weight": 0.05, "head.weight": 3.0})
    for number, parameter in enumerate(model.parameters(), 1):
        parameter.grad = torch.full_like(parameter, float(number))
    parent.step()
    for multipliers in ({"head.bias": 2.0, "embed.weight": 2.0}, {}, {"head.weight": 7.0}):
        other, child = made(multipliers)
        load_moments(child, moments(parent))
        for name, state in held(other, child).items():
            for key, value in held(model, parent)[name].items():
                assert torch.equal(torch.as_tensor(state[key]), torch.as_tensor(value)), (name, key)


def test_moments_of_another_shape_are_refused() -> None:
    made = []
    for vocabulary in (9, 10):
        model = TinyModel(vocabulary=vocabulary, context=4)
        made.append(build("optimizer", config().episode.optimizer, parameters=model.named_parameters()))
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        made[-1].step()
    with pytest.raises(RunError, match=r"does not fit this optimiser: exp_avg number 0 is \(9, .*its parameter \(10, "):
        load_moments(made[1], moments(made[0]))


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

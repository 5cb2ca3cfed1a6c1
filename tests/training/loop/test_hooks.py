"""Hooks do only what their kind may do."""

from pathlib import Path

import pytest
import torch

from tests.training.small_runs import DECODER, config
from trimtab.config import ConfigError, WorkError
from trimtab.records import RunDirectory
from trimtab.training import MemoryLogger, train
from trimtab.training.loop.guard import WeightGuard
from trimtab.training.runs.assembly import assemble


@pytest.mark.parametrize("way", ["in place", "data", "negated", "numpy", "return"])
def test_an_observer_that_writes_fails_the_run_with_its_name(tmp_path: Path, way: str) -> None:
    hook = f"hooks=[{{name: 'tests.training.parts:WritesActivation', way: {way}}}]"
    with pytest.raises(
        WorkError, match=r"tests\.training\.parts:WritesActivation.*wrote to the activation of 'blocks\.0'"
    ):
        train(config(hook, base=DECODER), tmp_path / "run")


@pytest.mark.parametrize("moment", ["setup", "activation", "step", "evaluation", "checkpoint", "end"])
@pytest.mark.parametrize("way", ["in place", "data", "numpy", "swapped"])
def test_an_observer_that_writes_to_a_parameter_fails_the_run_with_its_name(
    tmp_path: Path, moment: str, way: str
) -> None:
    hooks = f"hooks=[{{name: 'tests.training.parts:WritesParameter', moment: {moment}, way: {way}}}]"
    with pytest.raises(
        WorkError, match=r"tests\.training\.parts:WritesParameter' is an observer, and it wrote to 'embed"
    ):
        train(config(hooks), tmp_path / "run")


def test_of_several_observers_the_one_that_wrote_is_named_if_the_write_reveals_it(tmp_path: Path) -> None:
    others = "{name: activation_stats, every: 1}, {name: 'tests.training.parts:CallCounter'}"
    hooks = f"hooks=[{others}, {{name: 'tests.training.parts:WritesParameter', moment: activation, way: %s}}]"
    with pytest.raises(WorkError, match=r"hook 'tests\.training\.parts:WritesParameter' is an observer"):
        train(config(hooks % "in place"), tmp_path / "run")
    with pytest.raises(
        WorkError, match=r"One of the observers activation_stats, .*:CallCounter, .*:WritesParameter wrote"
    ):
        train(config(hooks % "data"), tmp_path / "other")


@pytest.mark.parametrize("way", ["buffer", "in place"])
def test_a_guard_raises_for_a_write_to_the_model_and_for_nothing_else(way: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3, dtype=torch.bfloat16), torch.nn.BatchNorm1d(3))
    guard = WeightGuard(model)
    with guard.unwritten(["me"], bits=True):
        sum(p.double().sum() for p in model.parameters())
    with (
        pytest.raises(WorkError, match=r"hook 'me' .*'1\.running_mean'|'0\.weight'"),
        guard.unwritten(["me"], bits=False),
    ):
        (model[1].running_mean if way == "buffer" else model[0].weight.detach()).add_(1)  # type: ignore[operator,union-attr]


def test_an_observers_columns_do_not_overwrite_the_trainers(tmp_path: Path) -> None:
    hook = "{name: 'tests.training.parts:ReturnsTrainerColumns'}"
    plain = train(config(), tmp_path / "plain")
    watched = train(config(f"hooks=[{hook}, {hook}]"), tmp_path / "watched")
    assert watched["weights_sha256"] == plain["weights_sha256"]
    columns = {"train_loss": -1.0, "regime": "diverged", "val_loss": 0.0, "faults": ["none"], "activation_stats": {}}
    for row, own in zip(*(RunDirectory(tmp_path / name).steps() for name in ("watched", "plain")), strict=True):
        assert row.pop("observers") == {
            "tests.training.parts:ReturnsTrainerColumns": columns,
            "tests.training.parts:ReturnsTrainerColumns#1": columns,
        }
        assert row.keys() == own.keys() and row["train_loss"] == own["train_loss"] and row["regime"] == own["regime"]


def test_activation_stats_are_recorded_at_their_cadence(tmp_path: Path) -> None:
    train(config("hooks=[{name: activation_stats, every: 5, bound: 0.5}]", base=DECODER), tmp_path / "run")
    rows = [row for row in RunDirectory(tmp_path / "run").steps() if "activation_stats" in row]
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    assert set(rows[0]["activation_stats"]) == {"blocks.0", "blocks.1"}
    stats = rows[0]["activation_stats"]["blocks.0"]
    assert stats["std"] > 0
    assert 0 <= stats["out_of_range"] <= 1


def test_the_manifest_lists_hooks_with_config_and_source(tmp_path: Path) -> None:
    train(
        config("hooks=[{name: activation_stats, every: 5}, {name: gradient_noise, enabled: false}]"), tmp_path / "run"
    )
    listed = RunDirectory(tmp_path / "run").manifest().hooks
    assert [(hook.name, hook.kind) for hook in listed] == [
        ("activation_stats", "observe"),
        ("gradient_noise", "gradient"),
    ]
    assert listed[0].config == {"every": 5, "layers": r"blocks\.\d+", "bound": 10.0}
    assert all(len(hook.source_hash) == 64 for hook in listed)


def test_an_unregistered_hook_cannot_run() -> None:
    assembly = assemble(config())
    assembly.model.blocks[0].register_forward_hook(lambda *args: None)  # type: ignore[union-attr,operator]
    trainer = assembly.trainer(MemoryLogger())
    with pytest.raises(WorkError, match=r"blocks\.0.*does not name"):
        trainer.train(assembly.train_loader, assembly.val_loader)


def test_an_unregistered_gradient_hook_cannot_run() -> None:
    assembly = assemble(config())
    next(assembly.model.parameters()).register_hook(lambda gradient: gradient * 3)
    trainer = assembly.trainer(MemoryLogger())
    with pytest.raises(WorkError, match=r"embed\.weight.*gradient hook"):
        trainer.train(assembly.train_loader, assembly.val_loader)


def test_an_observer_that_matches_no_layer_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        train(config("hooks=[{name: activation_stats, every: 5, layers: nowhere}]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_two_learning_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="one learning rule"):
        assemble(config("hooks=[{name: sign_descent}, {name: sign_descent}]"))


def test_a_class_that_is_not_a_hook_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a hook"):
        assemble(config("hooks=[{name: 'trimtab.losses.cross_entropy:CrossEntropy'}]"))


def test_sign_descent_moves_every_weight_by_the_learning_rate(tmp_path: Path) -> None:
    result = train(
        config(
            "hooks=[{name: sign_descent}]", "episode.steps=1", "episode.optimizer={name: sgd, lr: 0.01}", base=DECODER
        ),
        tmp_path / "run",
    )
    moved = RunDirectory(tmp_path / "run").steps()[0]["param_update_norm"]
    count = sum(p.numel() for p in assemble(config(base=DECODER)).model.parameters())
    assert moved == pytest.approx(0.01 * count**0.5, rel=0.2)  # rows of tokens that did not occur have no gradient
    assert result["status"] == "completed"


def test_random_feedback_changes_gradients_below_and_still_learns(tmp_path: Path) -> None:
    plain = train(config("episode.steps=60", "episode.optimizer.lr=3e-3", base=DECODER), tmp_path / "plain")
    aligned = train(
        config("episode.steps=60", "episode.optimizer.lr=3e-3", "hooks=[{name: random_feedback}]", base=DECODER),
        tmp_path / "fa",
    )
    first, second = (RunDirectory(tmp_path / name).steps() for name in ("plain", "fa"))
    assert first[0]["train_loss"] == second[0]["train_loss"]  # the forward pass is the same
    assert first[0]["grad_norm"] != second[0]["grad_norm"]
    assert second[-1]["loss_ema"] < second[0]["train_loss"] - 0.5
    assert plain["weights_sha256"] != aligned["weights_sha256"]


def test_gradient_transforms_clip_add_noise_and_project() -> None:
    from trimtab.random import Streams
    from trimtab.training.builtins.gradients import Clip, GradientNoiseInjection, SubspaceProjection

    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(40, 30, generator=generator)
    clipped = {"w": gradient.clone()}
    Clip(norm=0.5).transform(clipped, generator)
    assert float(clipped["w"].norm()) == pytest.approx(0.5, rel=1e-4)
    noisy = {"w": gradient.clone()}
    GradientNoiseInjection(scale=0.1).transform(noisy, generator)
    assert float((noisy["w"] - gradient).norm() / gradient.norm()) == pytest.approx(0.1, rel=0.1)
    linear = torch.nn.Linear(30, 40, bias=False)
    projection = SubspaceProjection(rank=7)
    projection.setup(linear, Streams(0))
    projected = {"weight": gradient.clone()}
    projection.transform(projected, generator)
    assert int(torch.linalg.matrix_rank(projected["weight"])) == 7
    again = {"weight": projected["weight"].clone()}
    projection.transform(again, generator)
    torch.testing.assert_close(again["weight"], projected["weight"])  # a projection is idempotent


def test_a_global_hook_and_one_added_during_the_run_are_refused(tmp_path: Path) -> None:
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None)
    try:
        with pytest.raises(WorkError, match="global module hook"):
            train(config(), tmp_path / "global")
    finally:
        handle.remove()
    parts = assemble(config())
    trainer = parts.trainer(MemoryLogger())
    trainer.prepare()
    trainer.step(parts.train_loader)
    next(iter(trainer.state.model.children())).register_forward_hook(lambda module, inputs, output: None)
    with pytest.raises(WorkError, match="does not name|does not"):
        trainer.step(parts.train_loader)


def test_a_layer_pattern_that_is_not_a_regular_expression_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a regular expression"):
        assemble(config("hooks=[{name: activation_stats, layers: '(('}]")).trainer(MemoryLogger())

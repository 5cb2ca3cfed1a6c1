"""The loop: accumulation (invariant 4), non-finite values (invariant 5), decisions, early stopping, divergence."""

import math
from typing import Any

import pytest
import torch

from tests.tiny import TinyModel
from tests.training.small_runs import SMALL, config
from trimtab.config import ConfigError, EpisodeConfig, WorkError
from trimtab.data import IGNORE, Batch
from trimtab.losses import CrossEntropy
from trimtab.runtime.nested import named_tensors
from trimtab.training import MemoryLogger, Trainer
from trimtab.training.config import RunConfig
from trimtab.training.runs.assembly import assemble

VOCABULARY = 20


class UnevenLoader:
    """Sequences with very different numbers of labelled tokens."""

    samples = batch_size = 8
    """Of validation."""

    def __init__(self, count: int = 64, time: int = 12) -> None:
        generator = torch.Generator().manual_seed(1)
        self.ids = torch.randint(0, VOCABULARY, (count, time), generator=generator)
        self.labels = self.ids.clone()
        for row in range(count):
            self.labels[row, row % (time - 1) + 2 :] = IGNORE

    def take(self, position: int, count: int, mix: Any = None, state: Any = None) -> Batch:
        index = torch.arange(position, position + count) % len(self.ids)
        return Batch(self.ids[index], self.labels[index])


def trained(
    episode: EpisodeConfig, dropout: float = 0.0, **parts: Any
) -> tuple[dict[str, torch.Tensor], MemoryLogger, dict[str, Any]]:
    torch.manual_seed(0)
    model = TinyModel(vocabulary=VOCABULARY, context=12, dropout=dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    logger, loader = MemoryLogger(), UnevenLoader()
    trainer = Trainer(
        model, optimizer, lambda step: 1.0, parts.pop("loss", CrossEntropy()), parts.pop("controller", None), logger,
        RunConfig(episode=episode), **parts,
    )  # fmt: skip
    result = trainer.train(loader, loader, episode)
    return {name: tensor.clone() for name, tensor in named_tensors(model).items()}, logger, result


def episode(**changes: Any) -> EpisodeConfig:
    return EpisodeConfig(**{"steps": 6, "batch_size": 8, "precision": "fp32", **changes})


class Weighted:
    """Cross-entropy in which every token weighs a hundredth."""

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        output = CrossEntropy()(logits, labels, batch_metadata)
        return {**output, "weight": output["weight"] / 100}


def test_small_weights_change_no_mean_and_no_count_of_tokens() -> None:
    plain, plain_log, _ = trained(episode(batch_size=1, accumulation=2))
    light, light_log, _ = trained(episode(batch_size=1, accumulation=2), loss=Weighted())
    assert light_log.steps[-1]["tokens"] == plain_log.steps[-1]["tokens"] > 0
    assert light_log.steps[0]["train_loss"] == pytest.approx(plain_log.steps[0]["train_loss"], abs=1e-6)
    assert all(torch.allclose(plain[name], light[name], atol=1e-5) for name in plain)


def test_eight_micro_batches_of_one_are_one_of_eight() -> None:
    whole, whole_log, _ = trained(episode())
    parts, parts_log, _ = trained(episode(batch_size=1, accumulation=8))
    for a, b in zip(whole_log.steps, parts_log.steps, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], abs=1e-6)
        assert a["tokens"] == b["tokens"]
    # AdamW divides by the root of tiny second moments, so weights are held to it through the update, not the gradient.
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=2e-5, rtol=0)


def test_the_gradient_itself_is_token_weighted() -> None:
    norms = []
    for size, accumulation in ((8, 1), (1, 8), (2, 4)):
        _, log, _ = trained(episode(steps=1, batch_size=size, accumulation=accumulation))
        norms.append(log.steps[0]["grad_norm"])
    assert norms == pytest.approx([norms[0]] * 3, abs=1e-6)


def test_a_batch_without_labels_has_loss_and_gradient_zero() -> None:
    loader = UnevenLoader()
    loader.labels[:8] = IGNORE
    model = TinyModel(vocabulary=VOCABULARY, context=12, dropout=0.0)
    log = MemoryLogger()
    trainer = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), lambda step: 1.0, CrossEntropy(), None, log)
    trainer.train(loader, loader, episode(steps=2))
    assert log.steps[0]["train_loss"] == 0
    assert log.steps[0]["grad_norm"] == 0
    assert log.steps[1]["train_loss"] > 0


def test_the_untrained_loss_is_that_of_the_first_batch_with_labels() -> None:
    loader = UnevenLoader()
    loader.labels[:8] = IGNORE
    model, log = TinyModel(vocabulary=VOCABULARY, context=12, dropout=0.0), MemoryLogger()
    config = RunConfig(episode=episode(steps=7, diverged_after=3))
    trainer = Trainer(
        model, torch.optim.SGD(model.parameters(), lr=0.1), lambda step: 1.0, CrossEntropy(), None, log, config
    )
    result = trainer.train(loader, loader)
    assert result["status"] == "completed"
    assert result["untrained_loss"] == trainer.state.divergence.baseline == log.steps[1]["train_loss"]


def test_a_nan_loss_is_skipped_recorded_and_kept_out_of_the_statistics() -> None:
    from tests.training.parts import PoisonLoss

    clean, clean_log, _ = trained(episode(steps=2))
    poisoned, log, result = trained(episode(steps=3), loss=PoisonLoss(at=[3]))
    for name in clean:
        assert torch.equal(clean[name], poisoned[name])  # the poisoned third step left the weights of the second
    assert math.isnan(log.steps[2]["train_loss"])
    assert log.steps[2]["skipped"]
    assert log.steps[2]["loss_ema"] == clean_log.steps[1]["loss_ema"]
    assert [row["step"] for row in log.events if row["kind"] == "skip"] == [3]
    assert result["stability"]["skipped_steps"] == 1


def test_an_update_that_makes_a_weight_infinite_is_undone() -> None:
    weights, log, _ = trained(
        episode(steps=5), hooks=assemble(config("hooks=[{name: 'tests.training.parts:Explode'}]")).hooks
    )
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert [row["step"] for row in log.events if row["kind"] == "skip"] == [3]
    assert log.steps[3]["param_update_norm"] > 0


def test_a_huge_learning_rate_never_reaches_the_weights() -> None:
    model = TinyModel(vocabulary=VOCABULARY, context=12, dropout=0.0)
    loader, log = UnevenLoader(), MemoryLogger()
    trainer = Trainer(model, torch.optim.SGD(model.parameters(), lr=1e38), lambda step: 3.0, CrossEntropy(), None, log)
    result = trainer.train(loader, loader, episode(steps=80, diverged_after=10))
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert result["status"] == "diverged"
    assert any(row["kind"] == "regime" and row["after"] == "diverged" for row in log.events)


def test_a_loss_that_stays_above_the_untrained_models_is_divergence() -> None:
    model = TinyModel(vocabulary=VOCABULARY, context=12, dropout=0.0)
    loader, log = UnevenLoader(), MemoryLogger()
    config = RunConfig(episode=episode(steps=100, diverged_after=7, clip=None))
    trainer = Trainer(
        model, torch.optim.SGD(model.parameters(), lr=200.0), lambda step: 1.0, CrossEntropy(), None, log, config
    )
    result = trainer.train(loader, loader)
    assert result["status"] == "diverged"
    assert result["steps"] < 100
    assert "val_loss" in result


def test_a_controller_skips_and_stops() -> None:
    from tests.training.parts import Skipper

    _, log, result = trained(episode(steps=20), controller=Skipper())
    assert result["status"] == "stopped"
    assert result["steps"] == 10
    assert [row["step"] for row in log.events if row["kind"] == "decision_skip"] == [3, 6, 9]
    assert [row["step"] for row in log.steps if row["skipped"]] == [3, 6, 9]


def test_a_controllers_decision_is_recorded_with_before_and_after() -> None:
    from tests.training.parts import Brake

    _, log, _ = trained(episode(steps=12), controller=Brake())
    decisions = [row for row in log.events if row["kind"] == "decision"]
    assert [row["step"] for row in decisions] == [5, 10]
    assert decisions[0]["before"] == {"lr_factor": 1.0}
    assert decisions[0]["after"] == {"lr_factor": 0.9}
    assert log.steps[4]["lr"] == pytest.approx(0.9 * log.steps[3]["lr"])  # in force at once: decided before the update


def test_a_controller_may_not_change_what_is_not_changeable() -> None:
    from tests.training.parts import ChangesBatchSize

    with pytest.raises(WorkError, match="batch_size"):
        trained(episode(), controller=ChangesBatchSize())


def test_a_decision_with_an_invalid_config_is_an_error() -> None:
    from trimtab.regimes import Controller, Decision

    class Negative(Controller):
        def update(self, state: Any, episode_config: Any) -> Decision | None:
            return Decision("wrong", episode=episode_config.model_copy(update={"lr_factor": -1.0}))

    with pytest.raises(WorkError, match="step 1 is not a valid config"):
        trained(episode(), controller=Negative())


def test_a_run_stops_after_evaluations_without_a_gain() -> None:
    from trimtab.config import EarlyStopping

    early = EarlyStopping(patience=2, minimum_gain=10.0)
    _, log, result = trained(episode(steps=50, evaluate_every=5, early_stopping=early))
    assert result["status"] == "stopped"
    assert result["steps"] == 15  # the first evaluation counts as a gain, the next two do not
    assert "early stopping" in log.events[-1]["reason"]


def test_small_improvements_add_up_to_a_gain() -> None:
    from trimtab.config import EarlyStopping

    early = EarlyStopping(patience=3, minimum_gain=0.06)
    _, log, result = trained(episode(steps=60, evaluate_every=2, early_stopping=early))
    losses = [row["val_loss"] for row in log.evaluations]
    assert losses[0] - losses[2] > 0.06 > max(a - b for a, b in zip(losses[1:], losses[2:], strict=False))
    assert result["steps"] > 2 * 4  # measured from the last counted gain, not from the evaluation before


def test_best_checkpoint_and_early_stopping_go_by_metrics_of_their_own() -> None:
    from trimtab.config import EarlyStopping

    early = EarlyStopping(metric="val_calibration_error", patience=3)
    _, log, result = trained(
        episode(steps=60, evaluate_every=2, best_metric="val_accuracy", early_stopping=early, keep_checkpoints=1)
    )
    accuracy = [row["val_accuracy"] for row in log.evaluations]
    assert result["best_value"] == max(accuracy) > accuracy[0]
    assert result["best_step"] == 2 * (accuracy.index(max(accuracy)) + 1)
    assert result["best_val_loss"] == min(row["val_loss"] for row in log.evaluations)
    errors = [row["val_calibration_error"] for row in log.evaluations]
    assert result["status"] == "stopped" and len(errors) - 1 - errors.index(min(errors)) == 3
    assert "did not improve val_calibration_error" in log.events[-1]["reason"]


def test_an_unknown_metric_is_refused_before_the_first_step() -> None:
    with pytest.raises(ConfigError, match=r"do not measure 'val_acuracy'\. Did you mean 'val_accuracy'"):
        trained(episode(best_metric="val_acuracy"))


def test_the_result_has_the_documented_figures() -> None:
    _, log, result = trained(episode())
    assert {
        "status",
        "steps",
        "val_loss",
        "val_accuracy",
        "val_calibration_error",
        "stability",
        "weights_sha256",
        "folder",
    } <= set(result)
    assert result["val_loss"] == log.evaluations[-1]["val_loss"]
    assert 0 <= result["val_calibration_error"] <= 1


def test_soft_target_distributions_train() -> None:
    class Soft(UnevenLoader):
        def take(self, position: int, count: int, mix: Any = None, state: Any = None) -> Batch:
            hard = super().take(position, count)
            soft = 0.9 * torch.nn.functional.one_hot(hard.input_ids, VOCABULARY).float() + 0.1 / VOCABULARY
            return Batch(hard.input_ids, soft)

    model = TinyModel(vocabulary=VOCABULARY, context=12, dropout=0.0)
    loader, log = Soft(), MemoryLogger()
    trainer = Trainer(
        model, torch.optim.AdamW(model.parameters(), lr=1e-2), lambda step: 1.0, CrossEntropy(), None, log
    )
    trainer.train(loader, loader, episode(steps=60))
    assert log.steps[-1]["train_loss"] < log.steps[0]["train_loss"] - 0.2


def test_dropout_of_a_users_model_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    assembly = assemble(config(base=SMALL))
    trainer = assembly.trainer(MemoryLogger())
    trainer.train(assembly.train_loader, assembly.val_loader)
    assert torch.equal(before, torch.random.get_rng_state())

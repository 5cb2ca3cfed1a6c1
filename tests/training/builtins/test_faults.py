"""Faults act at the configured steps and at no other."""

from pathlib import Path

import pytest
import torch

from tests.training.small_runs import config, weights
from trimtab.data import IGNORE, Batch
from trimtab.random import Streams
from trimtab.records import RunDirectory
from trimtab.runtime.context import RunContext
from trimtab.training import fork, resume, train
from trimtab.training.builtins.faults import CorruptedData, GradientNoise, LearningRateJump, RandomLabels
from trimtab.training.loop.faults import FaultSet

ALL = (
    "faults=[{name: random_labels, at: [5, 9]}, {name: corrupted_data, start: 12, length: 2},"
    " {name: lr_jump, start: 15, length: 2, factor: 20.0}, {name: gradient_noise, start: 20, length: 1}]"
)


def struck(out: Path) -> dict[int, list[str]]:
    return {row["step"]: row["faults"] for row in RunDirectory(out).steps() if "faults" in row}


def test_every_fault_acts_at_its_steps_and_is_recorded(tmp_path: Path) -> None:
    train(config(), tmp_path / "clean")
    train(config(ALL), tmp_path / "run")
    assert struck(tmp_path / "run") == {
        5: ["random_labels"], 9: ["random_labels"], 12: ["corrupted_data"], 13: ["corrupted_data"],
        15: ["lr_jump"], 16: ["lr_jump"], 20: ["gradient_noise"],
    }  # fmt: skip
    clean, run = (RunDirectory(tmp_path / name).steps() for name in ("clean", "run"))
    assert [row["train_loss"] for row in clean[:4]] == [row["train_loss"] for row in run[:4]]
    assert run[4]["train_loss"] != clean[4]["train_loss"]
    assert run[14]["lr"] == pytest.approx(20 * clean[14]["lr"])


@pytest.mark.parametrize(
    "fault",
    ["random_labels, at: [5]", "corrupted_data, start: 5, length: 1", "lr_jump, start: 5", "gradient_noise, start: 5"],
)
def test_each_fault_changes_the_run_from_its_step_on(tmp_path: Path, fault: str) -> None:
    train(config(), tmp_path / "clean")
    train(config(f"faults=[{{name: {fault}}}]"), tmp_path / "run")
    clean, run = (RunDirectory(tmp_path / name).steps() for name in ("clean", "run"))
    assert [row["param_update_norm"] for row in clean[:4]] == [row["param_update_norm"] for row in run[:4]]
    assert clean[5]["train_loss"] != run[5]["train_loss"]


def test_a_faulty_run_resumes_exactly(tmp_path: Path) -> None:
    train(config(ALL), tmp_path / "whole")
    stops = iter([None] * 12 + ["test"] * 9)
    train(config(ALL), tmp_path / "run", RunContext(stop=lambda: next(stops)))
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def batch() -> Batch:
    ids = torch.arange(40).reshape(4, 10)
    labels = ids.clone()
    labels[:, 7:] = IGNORE
    return Batch(ids, labels, torch.arange(10) < torch.tensor([10, 10, 10, 6])[:, None], {"index": [1]})


def test_random_labels_replace_targets_only() -> None:
    changed = RandomLabels(at=[1], vocabulary=7).batch(batch(), torch.Generator().manual_seed(0))
    assert torch.equal(changed.input_ids, batch().input_ids)
    assert torch.equal(changed.labels == IGNORE, batch().labels == IGNORE)
    labels = changed.labels[changed.labels != IGNORE]
    assert labels.min() >= 0 and labels.max() < 7


def test_corrupted_windows_hold_the_same_tokens_in_another_order() -> None:
    before = batch()
    changed = CorruptedData(start=1).batch(before, torch.Generator().manual_seed(0))
    assert torch.equal(changed.input_ids.sort(dim=1).values, before.input_ids)
    assert not torch.equal(changed.input_ids, before.input_ids)
    assert torch.equal(changed.input_ids[3, 6:], before.input_ids[3, 6:])  # padding stays in its place
    assert torch.equal(changed.labels == IGNORE, changed.input_ids % 10 >= 7)


def test_gradient_noise_has_the_configured_norm() -> None:
    gradient = torch.ones(200, 50)
    GradientNoise(start=1, scale=3.0).disturb({"a": gradient}, torch.Generator().manual_seed(0))
    assert float((gradient - 1).norm() / torch.ones(200, 50).norm()) == pytest.approx(3.0, rel=0.03)


def test_a_learning_rate_jump_lasts_for_its_length() -> None:
    jump = LearningRateJump(start=3, length=2, factor=9.0)
    assert list(jump.steps) == [3, 4]
    assert jump.lr_factor() == 9.0
    assert FaultSet().active(3, Streams(0)).lr_factor() == 1.0


def test_faults_count_batches_also_after_a_fork_with_another_batch_size(tmp_path: Path) -> None:
    train(config("faults=[{name: lr_jump, start: 20, length: 2}]"), tmp_path / "run")
    for size in (2, 8):
        fork(tmp_path / "run", 12, tmp_path / f"child-{size}", [f"episode.batch_size={size}"])
        assert sorted(struck(tmp_path / f"child-{size}")) == [20, 21]

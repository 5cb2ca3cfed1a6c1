"""Batch sources that depend on the run's state: rollouts of the model, and preference pairs with a reference model."""

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny import TinyModel
from tests.training.loop.test_trainer import VOCABULARY, UnevenLoader, episode
from tests.training.small_runs import config
from trimtab.data import IGNORE, Batch, CharacterTokenizer, DataBundle, DrawState, TrainLoader, text_bundle
from trimtab.generation import generate
from trimtab.losses import LossOutput
from trimtab.training import MemoryLogger, Trainer, replay, train
from trimtab.training.runs.assembly import assemble

PROMPT = 4


class Rollouts:
    """The model continues prompts from a dataset, and is trained on what it wrote."""

    def __init__(self, prompts: TrainLoader) -> None:
        self.prompts = prompts

    def take(self, position: int, count: int, mix: Any = None, state: DrawState | None = None) -> Batch:
        assert state is not None
        prompts = self.prompts.take(position, count).input_ids[:, :PROMPT]
        ids = generate(state.model, prompts, 6, generator=state.generator())
        labels = ids.clone()
        labels[:, :PROMPT] = IGNORE
        return Batch(ids, labels)


def rollouts(*, tokenizer: CharacterTokenizer, context: int, progress: Any = None) -> DataBundle:
    """A data component whose training batches are rollouts."""
    bundle = text_bundle("sentences", "a tale of two cats and a dog. " * 40, tokenizer, context=context)
    return replace(bundle, train_source=Rollouts(TrainLoader(bundle.train, 4, seed=0)))


ROLLOUTS = config(
    "data={name: 'tests.training.loop.test_batches:rollouts', context: 12}",
    "episode.steps=6",
    "episode.evaluate_every=3",
    "episode.checkpoint_every=3",
    "episode.optimizer.lr=0.05",
    base=["model={name: 'tests.tiny:TinyModel'}", "episode.batch_size=4", "threads=1", "episode.sample.tokens=0"],
)


def test_a_run_on_rollouts_resumes_exactly() -> None:
    assembly, log = assemble(ROLLOUTS), MemoryLogger()
    whole = assembly.trainer(log).train(assembly.train_loader, assembly.val_loader)
    first = assemble(ROLLOUTS)
    begun = first.trainer(MemoryLogger())
    begun.prepare()
    for _ in range(3):
        begun.step(first.train_loader)
    rest, rest_log = assemble(ROLLOUTS), MemoryLogger()
    trainer = rest.trainer(rest_log)
    trainer.restore(begun.state.snapshot())
    resumed = trainer.train(rest.train_loader, rest.val_loader)
    assert [row["train_loss"] for row in rest_log.steps] == [row["train_loss"] for row in log.steps[3:]]
    assert resumed["weights_sha256"] == whole["weights_sha256"]


def test_a_run_on_rollouts_replays_exactly(tmp_path: Path) -> None:
    train(ROLLOUTS, tmp_path / "run")
    replayed = replay(tmp_path / "run", allow_code=True)
    assert replayed.losses_identical and replayed.weights_identical


def test_rollouts_depend_on_the_weights_and_on_the_step_and_on_nothing_else() -> None:
    assembly = assemble(ROLLOUTS)
    passes, source = assembly.trainer(MemoryLogger()).passes, assembly.train_loader

    def drawn(step: int) -> Tensor:
        return source.take(0, 4, None, passes.draw_state("training", step, 0, 0)).input_ids

    first = drawn(1)
    assert not torch.equal(first, drawn(2))
    assert torch.equal(first, drawn(1))
    with torch.no_grad():
        next(assembly.model.parameters()).mul_(-3.0)
    assert not torch.equal(first, drawn(1))


class Pairs(UnevenLoader):
    """Rows in pairs, a preferred text before a rejected one, with their log probabilities under a reference model."""

    def __init__(self, reference: torch.nn.Module) -> None:
        super().__init__(time=8)
        self.reference = reference.eval()

    def take(self, position: int, count: int, mix: Any = None, state: DrawState | None = None) -> Batch:
        batch = Batch(super().take(position, count).input_ids, super().take(position, count).input_ids)
        inputs, _, labels, _ = batch.shifted()
        with torch.no_grad():
            reference = log_probabilities(self.reference(inputs), labels)
        return replace(batch, metadata={"reference": reference})


def log_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0].sum(-1)


class DirectPreference:
    """DPO (Rafailov et al. 2023, eq. 7) on the pairs of a batch."""

    def __call__(self, logits: Tensor, labels: Tensor, batch_metadata: Mapping[str, Any]) -> LossOutput:
        gains = log_probabilities(logits, labels) - batch_metadata["reference"]
        losses = -torch.nn.functional.logsigmoid(0.1 * (gains[0::2] - gains[1::2]))
        return {"loss": losses.mean(), "weight": torch.tensor(float(len(losses))), "aux": {}}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_preference_pairs_train_without_a_change_of_the_trainer(accumulation: int) -> None:
    torch.manual_seed(0)
    model, log = TinyModel(vocabulary=VOCABULARY, context=8, dropout=0.0), MemoryLogger()
    source = Pairs(copy.deepcopy(model))
    trainer = Trainer(
        model, torch.optim.AdamW(model.parameters(), lr=3e-2), lambda step: 1.0, DirectPreference(), None, log
    )
    trainer.train(source, source, episode(steps=16, batch_size=64 // accumulation, accumulation=accumulation))
    losses = [row["train_loss"] for row in log.steps]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)  # the model is its own reference at first
    assert losses[-1] < 0.9 * losses[0]

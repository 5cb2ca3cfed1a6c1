"""The metadata of a loss: aligned facts shifted with the labels, the step, a step's denominators, collected activations."""

import math
from typing import Any

import pytest
import torch

from tests.training.loop.test_trainer import VOCABULARY, UnevenLoader, episode, trained
from tests.training.small_runs import DECODER, config
from trimtab.config import ConfigError
from trimtab.data import IGNORE, Batch
from trimtab.losses import CrossEntropy
from trimtab.training import MemoryLogger
from trimtab.training.runs.assembly import assemble


class Described(UnevenLoader):
    """Each position knows its own place and token."""

    def take(self, position: int, count: int, mix: Any = None, state: Any = None) -> Batch:
        batch = super().take(position, count)
        place = torch.arange(batch.input_ids.shape[1]).expand_as(batch.input_ids)
        return Batch(
            batch.input_ids, batch.labels, None, {"tag": [1.0] * count}, {"place": place, "token": batch.input_ids}
        )


class RecordsMetadata(CrossEntropy):
    """Keeps the metadata of every call, and has denominators of two terms."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, Any]] = []
        self.weights: list[float] = []

    def denominators(self, labels: torch.Tensor, batch_metadata: Any) -> torch.Tensor:
        labelled = (labels != IGNORE).sum().double()
        return torch.stack([labelled, torch.ones_like(labelled)])

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        self.metadata.append(dict(batch_metadata))
        assert (batch_metadata["token"][labels != IGNORE] == labels[labels != IGNORE]).all()
        output = super().__call__(logits, labels, batch_metadata)
        self.weights.append(float(output["weight"]))
        return output


def test_facts_of_a_position_are_shifted_with_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = RecordsMetadata()
    monkeypatch.setattr("tests.training.loop.test_trainer.UnevenLoader", Described)
    trained(episode(steps=2, batch_size=4, accumulation=2), loss=loss)
    training = [metadata for metadata in loss.metadata if "step" in metadata]
    assert [(metadata["step"], metadata["steps"], metadata["micro_batches"]) for metadata in training] == [
        (1, 2, 2)
    ] * 2 + [(2, 2, 2)] * 2
    assert training[0]["place"][0].tolist() == list(range(1, 12)) and training[0]["tag"] == [1.0] * 4
    totals = training[0]["denominators"].tolist()
    assert totals == training[1]["denominators"].tolist() == [sum(loss.weights[:2]), 2.0]
    evaluating = [metadata for metadata in loss.metadata if "step" not in metadata]
    assert all("denominators" not in metadata and "micro_batches" not in metadata for metadata in evaluating)


class Doubled(CrossEntropy):
    """Another objective: twice the cross-entropy."""

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        output = super().__call__(logits, labels, batch_metadata)
        return {**output, "loss": 2 * output["loss"]}


def test_two_objectives_are_compared_by_one_validation_loss() -> None:
    """`val_loss` and `untrained_loss` are the cross-entropy whatever is trained on; the objective stands beside it."""

    _, plain_log, plain = trained(episode(steps=1))
    _, log, doubled = trained(episode(steps=1), loss=Doubled())
    assert doubled["untrained_loss"] == plain["untrained_loss"] == plain_log.steps[0]["train_loss"]
    assert log.steps[0]["train_loss"] == 2 * plain["untrained_loss"]
    assert math.isclose(doubled["val_objective"], 2 * doubled["val_loss"], rel_tol=1e-6)
    assert "val_objective" not in plain


class Quiet:
    """Cross-entropy and a term on collected activations."""

    def __init__(self, *, strength: float = 1.0) -> None:
        self.strength, self.inner = strength, CrossEntropy()

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        output = self.inner(logits, labels, batch_metadata)
        term = torch.stack([a.float().square().mean() for a in batch_metadata["activations"].values()]).mean()
        output["aux"]["energy"] = float(term.detach())
        return {**output, "loss": output["loss"] + self.strength * term}


def run(*overrides: str) -> tuple[dict[str, Any], MemoryLogger]:
    assembly, log = (
        assemble(config("episode.steps=12", "episode.optimizer.lr=0.01", *overrides, base=DECODER)),
        MemoryLogger(),
    )
    return assembly.trainer(log).train(assembly.train_loader, assembly.val_loader), log


def test_collected_activations_reach_the_loss_with_their_graph() -> None:
    quiet = "episode.loss={name: 'tests.training.loop.test_passes:Quiet', strength: %s}"
    _, free = run("hooks=[{name: collect_activations}]", quiet % "0.0")
    _, bound = run("hooks=[{name: collect_activations}]", quiet % "30.0")
    assert bound.steps[-1]["aux"]["energy"] < 0.8 * free.steps[-1]["aux"]["energy"]


def test_collecting_alone_changes_nothing() -> None:
    assert run()[0]["weights_sha256"] == run("hooks=[{name: collect_activations}]")[0]["weights_sha256"]


def test_a_layer_pattern_without_a_match_is_refused() -> None:
    with pytest.raises(ConfigError, match="matches no module"):
        run("hooks=[{name: collect_activations, layers: nowhere}]")


def test_the_vocabulary_is_as_large_as_its_ids() -> None:
    assert UnevenLoader().ids.max() < VOCABULARY


class Reports(UnevenLoader):
    """Reports figures and an event with its batches."""

    def take(self, position: int, count: int, mix: Any = None, state: Any = None) -> Batch:
        batch = super().take(position, count)
        event = {"kind": "grown", "reason": "it was time", "before": 1, "after": 2}
        batch.metadata.update(figures={"place": float(position)}, occurrences=[event] if position == 12 else [])
        return batch


def test_figures_and_events_of_a_source_are_in_the_records_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.training.loop.test_trainer.UnevenLoader", Reports)
    _, logger, _ = trained(episode(steps=2, batch_size=4, accumulation=2))
    # Each the largest of a step's two micro-batches.
    assert [row["aux"]["data.place"] for row in logger.steps] == [4.0, 12.0]
    (event,) = (event for event in logger.events if event["kind"] == "grown")
    assert (event["step"], event["reason"], event["before"], event["after"]) == (2, "it was time", 1, 2)

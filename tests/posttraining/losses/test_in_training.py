"""The objectives in the trainer's own steps: first losses, references, micro-batches, resumption."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.tasks.shared import write_rows
from tests.posttraining.files import sums
from trimtab.config import REGISTRIES
from trimtab.data import Batch
from trimtab.errors import ConfigError
from trimtab.posttraining.log_probs import answer_log_probs
from trimtab.posttraining.losses.batches import mean_entropy
from trimtab.posttraining.losses.formulas import FORMULAS, WITHOUT_REFERENCE
from trimtab.posttraining.losses.reward import end_rewards
from trimtab.runtime.context import DEFAULT_CONTEXT, RunContext
from trimtab.training import MemoryLogger
from trimtab.training.config import RunConfig, load_config
from trimtab.training.runs.assembly import assemble
from trimtab.training.runs.lifecycle import begin, resume

BASE = [
    "model={name: decoder, layers: 2, width: 32, heads: 2, ff: 64}",
    "episode.batch_size=8",
    "episode.steps=6",
    "episode.evaluate_every=6",
    "episode.checkpoint_every=3",
    "episode.sample.tokens=0",
    "episode.precision=fp32",
    "threads=1",
]
OBJECTIVES: dict[str, dict[str, Any]] = {
    **{name: {"name": "preference", "objective": name} for name in FORMULAS},
    "robust": {"name": "preference", "objective": "robust", "flip": 0.2},
    "normalised": {"name": "preference", "length_normalised": True, "sft": 0.5},
    "kto": {"name": "kto", "undesirable": 1.5},
    "reward_pairs": {"name": "reward_pairs", "centre": 0.01},
}


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of supervised fine-tuning on the right sums, and next to it the pairs."""
    folder = tmp_path_factory.mktemp("trunk")
    write_rows(folder / "pairs.jsonl", sums(120))
    chats = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in sums(120)]
    path = write_rows(folder / "chats.jsonl", chats)
    data = {"name": "chat", "path": path, "context": 48, "validation": 8}
    begin(config(f"data={json.dumps(data)}", "episode.steps=12", "model.dropout=0.1"), folder / "sft", DEFAULT_CONTEXT)
    return folder


def config(*overrides: str) -> RunConfig:
    return load_config(None, [*BASE, *overrides])


def pair_config(trunk: Path, loss: dict[str, Any], *overrides: str, reference: bool = True) -> RunConfig:
    """A run on the pairs that begins from the fine-tuned model."""
    data = {"name": "pairs", "path": str(trunk / "pairs.jsonl"), "context": 48, "validation": 16}
    if reference:
        data["reference"] = str(trunk / "sft")
    base: dict[str, Any] = {"name": "trained", "run": str(trunk / "sft")}
    model = {"name": "scored", "base": base} if loss["name"] == "reward_pairs" else base
    return config(
        f"data={json.dumps(data)}", f"model={json.dumps(model)}", f"episode.loss={json.dumps(loss)}", *overrides
    )


def first_step(made: RunConfig) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The row of the first step, and the gradients before clipping."""
    assembly = assemble(made)
    trainer = assembly.trainer(MemoryLogger())
    trainer.prepare()
    accumulated = trainer.passes.backward(assembly.train_loader, 0, made.episode, 1, 0)
    gradients = {name: p.grad.clone() for name, p in assembly.model.named_parameters() if p.grad is not None}
    return {"train_loss": accumulated.loss, "aux": accumulated.aux}, gradients


@pytest.mark.parametrize("name", OBJECTIVES)
def test_eight_micro_batches_of_one_pair_have_the_gradient_of_one_batch_of_eight(name: str, still: Path) -> None:
    loss = OBJECTIVES[name]
    one, whole = first_step(pair_config(still, loss, "episode.batch_size=8"))
    eight, summed = first_step(pair_config(still, loss, "episode.batch_size=1", "episode.accumulation=8"))
    assert eight["train_loss"] == pytest.approx(one["train_loss"], rel=1e-6, abs=1e-6)
    assert eight["aux"] == pytest.approx(one["aux"], rel=1e-5, abs=1e-5)
    assert set(whole) == set(summed)
    assert max(float(gradient.abs().max()) for gradient in whole.values()) > 1e-4
    for key, gradient in whole.items():
        torch.testing.assert_close(summed[key], gradient, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def still(trunk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same fine-tuning without dropout, so that the model and its reference compute the same."""
    folder = tmp_path_factory.mktemp("still")
    for name in ("pairs.jsonl", "chats.jsonl"):
        (folder / name).write_bytes((trunk / name).read_bytes())
    data = {"name": "chat", "path": str(folder / "chats.jsonl"), "context": 48, "validation": 8}
    begin(
        config(f"data={json.dumps(data)}", "episode.steps=60", "episode.optimizer.lr=0.003", "model.dropout=0.0"),
        folder / "sft",
        DEFAULT_CONTEXT,
    )
    return folder


FIRST = {
    "sigmoid": math.log(2),
    "conservative": math.log(2),
    "robust": math.log(2),
    "hinge": 1.0,
    "ipo": 25.0,
    "apo_zero": 1.0,
    "apo_down": 1.0,
    "kto": 0.625,
    "reward_pairs": math.log(2),
}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_loss_is_that_of_equal_answers(name: str, still: Path) -> None:
    row, _ = first_step(pair_config(still, OBJECTIVES[name]))
    assert row["train_loss"] == pytest.approx(FIRST[name], abs=1e-6 * (1 if FIRST[name] < 2 else 100))
    if name in FORMULAS:
        assert row["aux"]["accuracy"] == pytest.approx(0.5, abs=0.5)
        assert row["aux"]["log_ratio_chosen"] == pytest.approx(0, abs=1e-5)
        assert 0 < row["aux"]["entropy"] < math.log(99)
        assert row["aux"]["length_chosen"] == pytest.approx(row["aux"]["length_rejected"], abs=0.5)


def test_the_reference_is_the_fine_tuned_model_and_not_an_untrained_one(still: Path) -> None:
    tuned = assemble(pair_config(still, OBJECTIVES["sigmoid"]))
    untrained = assemble(
        pair_config(still, OBJECTIVES["sigmoid"]).model_copy(update={"model": config(*BASE[:1]).model})
    )
    gaps = []
    for made in (tuned, untrained):
        trainer = made.trainer(MemoryLogger())
        trainer.prepare()
        batch: Batch = made.train_loader.take(0, 8)
        logits, labels, metadata = trainer.passes.forward(batch, "fp32")
        aux = trainer.passes.loss_fn(logits, labels, metadata)["aux"]
        gaps.append(abs(aux["log_ratio_chosen"]))
    assert gaps[0] <= 1e-5
    assert gaps[1] > 1


def easy(folder: Path) -> str:
    """Pairs whose chosen answer is always the same word."""
    rows = [{"prompt": f"{row['prompt']}?", "chosen": "yes", "rejected": "no"} for row in sums(60)]
    return write_rows(folder / "pairs.jsonl", rows)


def steps_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]


def test_training_on_pairs_raises_the_margin_and_is_recorded(still: Path, tmp_path: Path) -> None:
    data = {"name": "pairs", "path": easy(tmp_path), "context": 48, "validation": 8, "reference": str(still / "sft")}
    made = config(
        f"data={json.dumps(data)}",
        f"model={json.dumps({'name': 'trained', 'run': str(still / 'sft')})}",
        "episode.loss={name: preference}",
        "episode.steps=30",
        "episode.optimizer.lr=0.003",
    )
    begin(made, tmp_path / "run", DEFAULT_CONTEXT)
    steps = steps_of(tmp_path / "run")
    assert steps[0]["aux"]["margin"] == pytest.approx(0, abs=1e-5)
    assert steps[-1]["aux"]["margin"] > 0.1
    assert steps[-1]["aux"]["accuracy"] == 1
    last = json.loads((tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()[-1])
    assert last["val_objective"] < 0.65


def test_a_reward_model_learns_which_answers_are_right(tmp_path: Path) -> None:
    data = {"name": "pairs", "path": easy(tmp_path), "context": 48, "validation": 8}
    base = {"name": "decoder", "layers": 1, "width": 32, "heads": 2}
    made = config(
        f"data={json.dumps(data)}",
        f"model={json.dumps({'name': 'scored', 'base': base})}",
        "episode.loss={name: reward_pairs}",
        "episode.steps=30",
        "episode.optimizer.lr=0.003",
    )
    begin(made, tmp_path / "run", DEFAULT_CONTEXT)
    steps = steps_of(tmp_path / "run")
    assert steps[0]["aux"]["accuracy"] == 0.5
    assert steps[-1]["aux"]["accuracy"] == 1
    assert steps[-1]["aux"]["margin"] > 0.5


def test_an_interrupted_run_resumes_to_the_same_weights(trunk: Path, tmp_path: Path) -> None:
    made = pair_config(trunk, OBJECTIVES["sigmoid"])
    whole = begin(made, tmp_path / "whole", DEFAULT_CONTEXT)
    stopped = begin(made, tmp_path / "parts", RunContext(until=4))
    assert stopped["status"] == "interrupted"
    assert resume(tmp_path / "parts")["weights_sha256"] == whole["weights_sha256"]


def test_what_an_objective_needs_is_said(still: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^The loss 'preference' needs the log probabilities of a reference model"):
        first_step(pair_config(still, OBJECTIVES["sigmoid"], reference=False))
    for name in WITHOUT_REFERENCE:
        first_step(pair_config(still, OBJECTIVES[name], reference=False))
    data = {"name": "chat", "path": str(still / "chats.jsonl"), "context": 48}
    for name, words in (
        ("sigmoid", "The loss 'preference' needs pairs of answers"),
        ("kto", "The loss 'kto' needs feedback on every answer"),
    ):
        with pytest.raises(ConfigError, match=words):
            first_step(config(f"data={json.dumps(data)}", f"episode.loss={json.dumps(OBJECTIVES[name])}"))
    pairs = {"name": "pairs", "path": str(still / "pairs.jsonl"), "context": 48}
    with pytest.raises(ConfigError, match="needs a model with a scalar head"):
        first_step(config(f"data={json.dumps(pairs)}", "episode.loss={name: reward_pairs}"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"flip": 0.1}, "flip: sigmoid assumes no flipped labels"),
        ({"margin": 0.1}, "margin: sigmoid has no margin"),
        ({"objective": "orpo", "length_normalised": True}, "length_normalised: orpo always is"),
    ],
)
def test_parameters_without_effect_are_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        REGISTRIES["loss"].resolve({"name": "preference", **parameters})


def test_the_reward_is_read_at_the_end_token_whatever_the_padding() -> None:
    rewards = torch.arange(6.0).expand(3, 6)
    labels = torch.tensor([[-100, 4, 5, -100, -100], [-100, -100, -100, 4, 5], [7, -100, -100, -100, -100]])
    assert end_rewards(rewards, labels).tolist() == [3.0, 5.0, 1.0]


def test_the_entropy_of_equal_logits_is_that_of_a_uniform_distribution() -> None:
    labels = torch.tensor([[-100, 1, 2], [3, -100, 0]])
    answers, chosen = answer_log_probs("x", torch.zeros(2, 3, 7), labels)
    assert mean_entropy(chosen, answers, 3) == pytest.approx(math.log(7), abs=1e-6)
    assert answers.total.tolist() == pytest.approx([-2 * math.log(7)] * 2)
    assert answers.mean.tolist() == pytest.approx([-math.log(7)] * 2)

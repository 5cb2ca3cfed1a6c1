"""Training on a model's own thoughts: labels, rewards, and runs that are interrupted, replayed and killed."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.metacognition.models import CLOSE, OPEN, TOKENIZER, model
from tests.training.small_runs import command, started, weights
from trimtab.data import DrawState
from trimtab.errors import WorkError
from trimtab.metacognition.data.build import thinking_data
from trimtab.metacognition.data.rollouts import ThoughtRollouts
from trimtab.metacognition.data.routes import Routes
from trimtab.models import Decoder
from trimtab.random import Streams
from trimtab.records import RunDirectory
from trimtab.rollouts import PolicyGradient
from trimtab.training import replay

TASK = Routes(hops=(0, 1, 2), nodes=6, paths=2)
CONFIG: dict[str, Any] = {
    "threads": 1,
    "data": {
        "name": "thinking",
        "task": {"name": "routes", "hops": [0, 1, 2], "nodes": 6, "paths": 2},
        "size": 60,
        "validation": 12,
        "context": 40,
        "cuts": {"longest": 6},
        "tokenizer": {"name": "tagged"},
        "rollouts": {"group": 4, "tokens": 12, "price": 0.2},
    },
    "model": {
        "name": "metacognitive",
        "base": {"name": "decoder", "layers": 2, "width": 16, "heads": 2, "ff": 32, "dropout": 0.0},
        "caps": [0, 3, 6],
        "proj_dim": 8,
        "answer_room": 3,
    },
    "episode": {
        "steps": 8,
        "batch_size": 8,
        "accumulation": 2,
        "precision": "fp32",
        "evaluate_every": 4,
        "evaluation_windows": 4,
        "checkpoint_every": 2,
        "task_eval": {"problems": 4, "tokens": 12},
        "loss": {"name": "sum", "terms": [{"name": "policy_gradient"}, {"name": "thinking_length", "weight": 0.1}]},
    },
}


def bundle(**rollouts: Any) -> Any:
    return thinking_data(
        tokenizer=TOKENIZER,
        task=TASK,
        size=30,
        validation=10,
        context=40,
        rollouts=ThoughtRollouts(group=4, tokens=16, **rollouts),
    )


def test_a_forced_closing_tag_has_no_label_and_thoughts_cost_their_price() -> None:
    thinker = model(context=40, caps=(0, 3, 6), use_predicted_budget=True)
    data = bundle(price=0.5)
    batch = data.train_source.take(0, 16, None, DrawState(thinker, Streams(0), "training", 1, 0, 0))
    forced = 0
    for row, (ids, labels) in enumerate(zip(batch.input_ids.tolist(), batch.labels.tolist(), strict=True)):
        used, ended = batch.metadata["used"][row], batch.metadata["ended"][row]
        start = ids.index(OPEN) + 1
        assert used <= batch.metadata["cap"][row] <= 6
        assert labels[start : start + used] == ids[start : start + used]
        if CLOSE in ids:
            assert ids.index(CLOSE) == start + used
            assert (labels[start + used] == CLOSE) == ended
            forced += not ended
        right = batch.metadata["reward"][row] + 0.5 * used / 6
        assert right == pytest.approx(round(right)) and round(right) in (0, 1)
    assert forced


def test_the_loss_sees_the_probabilities_of_the_draws() -> None:
    """The model is untrained, so tokens that the rules exclude would have had much of the probability."""
    thinker = model(context=40, caps=(0, 3, 6))
    batch = bundle().train_source.take(0, 16, None, DrawState(thinker, Streams(0), "training", 1, 0, 0))
    shifted = batch.shifted(keep_last=True)
    with torch.no_grad():
        logits = thinker(shifted.input_ids, shifted.attention_mask).logits[:, :-1]
    loss, metadata = PolicyGradient(), {**batch.metadata, **shifted.aligned}
    assert loss(logits, shifted.labels, metadata)["aux"]["policy_gap"] < 1e-5
    del metadata["forbidden"]
    assert loss(logits, shifted.labels, metadata)["aux"]["policy_gap"] > 1e-2


def test_a_model_without_budgets_is_refused() -> None:
    plain = Decoder(vocabulary=TOKENIZER.vocabulary, context=40, layers=1, width=16, heads=2)
    plain.initialise(torch.Generator())
    with pytest.raises(WorkError, match="data.rollouts needs a model that thinks within budgets"):
        bundle().train_source.take(0, 4, None, DrawState(plain, Streams(0), "training", 1, 0, 0))


def test_the_fingerprint_depends_on_the_rollouts_only_where_there_are_some() -> None:
    options: dict[str, Any] = {"tokenizer": TOKENIZER, "task": TASK, "size": 30, "validation": 10, "context": 40}
    prints = {thinking_data(**options).fingerprint, bundle().fingerprint, bundle(price=0.5).fingerprint}
    assert len(prints) == 3


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rl.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def test_a_run_on_rollouts_is_recorded_and_replayed(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = command("train", str(config), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = list(RunDirectory(out).steps())
    for row in rows:
        aux = row["aux"]
        assert aux["policy_gradient.policy_gap"] < 1e-4
        assert {"policy_gradient.reward", "policy_gradient.entropy", "model.think_tokens_used"} <= set(aux)
    assert replay(out).identical


@pytest.mark.slow
def test_a_run_on_rollouts_that_is_killed_ends_with_the_same_weights(config: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert command("train", str(config), "--out", str(whole)).returncode == 0
    first = ["train", str(config), "--out", str(cut)]
    for _ in range(3):
        process = started(*(["resume", str(cut)] if (cut / "manifest.json").exists() else first), merged=True)
        deadline = time.monotonic() + 60
        steps = cut / "steps.jsonl"
        seen = steps.stat().st_size if steps.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            if steps.exists() and steps.stat().st_size > seen:
                break
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.finish(60)
    done = command(*(["resume", str(cut)] if (cut / "manifest.json").exists() else first))
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(cut) == weights(whole)

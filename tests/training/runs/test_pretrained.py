"""Pretrained models through the trainer: what is trained, kept, resumed exactly and refused."""

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from tests.models.pretrained.folders import write
from tests.training.runs.test_slow import last_step
from tests.training.small_runs import SMALL, command, config, options, started
from trimtab.config import RunError
from trimtab.records import RunDirectory, first_difference
from trimtab.training import MemoryLogger, RunContext, resume, train
from trimtab.training.runs.assembly import assemble
from trimtab.training.runs.conditions import conditions_now

QUIET = RunContext()
LORA = "[{name: lora, rank: 2, dropout: 0.1}, {name: norms, lr: 0.1}]"


def small(folder: Path, adapt: str = LORA, *more: str) -> list[str]:
    kept = [item for item in SMALL if not item.startswith("model=")]
    return [*kept, f"model={{name: pretrained, path: '{folder}', adapt: {adapt}}}", "episode.optimizer.lr=0.01", *more]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("base") / "llama", "llama", vocab_size=99)


def test_checkpoints_hold_only_trained_weights_and_a_stopped_run_resumes_exactly(tmp_path: Path, base: Path) -> None:
    whole = train(config(base=small(base)), tmp_path / "whole", QUIET)
    assert whole["val_loss"] < whole["untrained_loss"] - 0.1
    kept = safetensors.torch.load_file(tmp_path / "whole/checkpoints/step-00000024/model.safetensors")
    assert kept and all("lora" in name or "norm" in name for name in kept)
    manifest = RunDirectory(tmp_path / "whole").manifest()
    assert manifest.model is not None and manifest.model.fingerprint is not None
    assert conditions_now(config(base=small(base))).base_fingerprint == manifest.model.fingerprint
    assert manifest.model.trained == sum(tensor.numel() for tensor in kept.values()) < manifest.model.parameters
    calls = iter(range(1000))
    stopped = train(
        config(base=small(base)),
        tmp_path / "part",
        RunContext(stop=lambda: "now" if next(calls) == 9 else None),
    )
    assert (stopped["status"], stopped["steps"]) == ("interrupted", 10)
    assert resume(tmp_path / "part", context=QUIET)["weights_sha256"] == whole["weights_sha256"]
    assert first_difference(RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "part")) is None


def test_each_part_learns_at_its_own_rate(base: Path) -> None:
    run = config(base=small(base, "[{name: last_layers, layers: 1}, {name: norms, lr: 0.25}]"))
    assembly = assemble(run)
    trainer = assembly.trainer(MemoryLogger())
    names = {id(p): name for name, p in assembly.model.named_parameters()}
    rates = {
        names[id(p)]: g.get("lr_multiplier", 1.0) for g in trainer.state.optimizer.param_groups for p in g["params"]
    }
    assert set(rates.values()) == {1.0, 0.25}
    assert all((rate == 0.25) == ("norm" in name) for name, rate in rates.items())


def test_another_base_is_refused_and_a_moved_one_is_not(tmp_path: Path, base: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base, folder)
    stop = RunContext(stop=lambda: "now")
    train(config(base=small(folder)), tmp_path / "run", stop)
    moved = shutil.move(folder, tmp_path / "elsewhere")
    assert resume(tmp_path / "run", [f"model.path={moved}"], context=stop)["status"] == "interrupted"
    write(Path(moved), "llama", seed=1, vocab_size=99)
    with pytest.raises(RunError, match="the weights that the model begins from"):
        resume(tmp_path / "run", context=QUIET)


def test_soft_targets_train_too(tmp_path: Path, base: Path) -> None:
    loss = "episode.loss={name: label_smoothing, smoothing: 0.2}"
    result = train(config(base=small(base, "[{name: full}]", loss)), tmp_path / "run", QUIET)
    assert result["val_loss"] < result["untrained_loss"] - 0.3 and "val_objective" in result
    task = [
        "data={name: task, task: {name: arithmetic, levels: [1], operations: [sum]}, size: 200, validation: 20, context: 24,"
        " noise: {flip: 0.4, doubtful: 1.0}}",
        "episode.loss={name: soft_tokens, targets: set, roles: null}",
        "episode.task_eval={problems: 8, tokens: 5}",
    ]
    kept = [item for item in small(base, "[{name: full}]") if not item.startswith("data")]
    soft: dict[str, Any] = train(config(base=[*kept, *task]), tmp_path / "soft", QUIET)
    assert soft["val_loss"] < soft["untrained_loss"] - 0.3 and soft["task_eval"]["problems"] == 8


@pytest.mark.slow
def test_smollm2_learns_by_lora_in_twenty_steps_and_survives_a_kill(tmp_path: Path, smollm2: Path) -> None:
    run = [
        "data={name: task, task: {name: arithmetic, levels: [1], operations: [sum]}, size: 400, validation: 20, context: 40,"
        f" tokenizer: {{name: pretrained, path: '{smollm2}'}}}}",
        f"model={{name: pretrained, path: '{smollm2}', adapt: [{{name: lora, rank: 4, dropout: 0.05}}]}}",
        "episode.steps=20", "episode.batch_size=4", "episode.optimizer.lr=1e-3", "episode.evaluate_every=20", "episode.checkpoint_every=4",
        "episode.task_eval={problems: 4, tokens: 6}", "threads=1",
    ]  # fmt: skip
    whole = train(config(base=run), tmp_path / "whole", QUIET)
    losses = [row["train_loss"] for row in RunDirectory(tmp_path / "whole").steps()]
    print(f"LoRA on SmolLM2, loss of the first and the last five steps: {losses[:5]} {losses[-5:]}")
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    out = tmp_path / "run"
    process = started("train", *options(run), "--out", str(out))
    target = random.Random(3).randint(5, 15)
    while process.poll() is None and last_step(out) < target:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.finish(60).returncode == -signal.SIGKILL, "the run ended before it could be killed"
    resumed = command("resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    assert first_difference(RunDirectory(tmp_path / "whole"), RunDirectory(out)) is None
    summary = json.loads((out / "summary.json").read_text())
    assert summary["weights_sha256"] == whole["weights_sha256"]

"""What the command line says of a run on a task, and how such a run's model is asked."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.training.loop.test_task_eval import TASK, URNS
from tests.training.small_runs import command, options
from trimtab.records import RunDirectory


@pytest.fixture(scope="module")
def urns(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "of urns"
    changes = [*URNS, "data.template='Q {prompt} A:'", "episode.optimizer.lr=3e-3", "episode.steps=60"]
    result = command("train", *options(changes), "--out", str(out))
    assert result.returncode == 0, result.stderr
    return out, result.stdout


def test_train_and_show_print_the_task_evaluation(urns: tuple[Path, str]) -> None:
    out, said = urns
    task_eval = json.loads((out / "summary.json").read_text())["metrics"]["task_eval"]
    words = (
        f"task evaluation of 20 problems: exact match {task_eval['exact_match']:.3f}, answer loss {task_eval['answer_loss']:.4f} nats per answer, KL to "
        f"the true distribution {task_eval['truth']['kl']['value']:.4f} nats"
    )
    assert said.count(words) == 2  # of the last evaluation, and at the end
    assert words in command("show", str(out)).stdout


def test_the_hint_asks_what_the_model_was_trained_to_answer(urns: tuple[Path, str]) -> None:
    out, said = urns
    hint = shlex.split(said.rpartition("Try: trimtab ")[2])
    assert hint == ["sample", str(out), "--prompt", RunDirectory(out).predictions()[0]["prompt"]]
    assert command(*hint).returncode == 0


def test_a_sample_is_in_the_template_and_stops_at_the_end_of_the_answer(urns: tuple[Path, str]) -> None:
    out, _ = urns
    row = RunDirectory(out).predictions()[0]
    told = command("sample", str(out), "--temperature", "0", "--prompt", row["prompt"], "--json")
    written = json.loads(told.stdout)
    assert written["prompt"] == f"Q {row['prompt']} A:"
    assert written["text"] == row["response"] and len(written["text"]) < 10
    unasked = json.loads(command("sample", str(out), "--temperature", "0", "--json").stdout)
    assert unasked == written
    long = command("sample", str(out), "--prompt", "urn " * 40)
    assert long.returncode == 2 and re.search(r"has 165 tokens, and the model reads at most 64", long.stderr), (
        long.stderr
    )


def test_a_run_without_a_task_evaluation_has_a_hint_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = command("train", *options([*TASK, "episode.task_eval.problems=0", "episode.steps=2"]), "--out", str(out))
    assert result.stdout.rstrip().endswith(f"Try: trimtab sample {out}") and "task evaluation of" not in result.stdout

"""Exams: what a model answers, scored by the task, against a plain computation."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.runs import config
from trimtab.config import RunConfig
from trimtab.data.tasks import ProblemDataset
from trimtab.records import RunDirectory
from trimtab.training import Caller, MemoryLogger, resume, train
from trimtab.training.assembly import Assembly, assemble

TASK = [
    "data={name: task, task: {name: arithmetic, levels: [1], operations: [sum]}, size: 400, validation: 40, context: 24}",
    "model={name: decoder, layers: 2, width: 32, heads: 2, ff: 64}",
    "episode.steps=24",
    "episode.batch_size=16",
    "episode.precision=fp32",
    "episode.optimizer.lr=0.01",
    "episode.evaluate_every=12",
    "episode.checkpoint_every=12",
    "episode.exam={problems: 20, tokens: 6}",
    "threads=1",
]
URNS = [
    *TASK[1:],
    "data={name: task, task: {name: urns, levels: [1]}, size: 400, validation: 20, context: 64}",
    "episode.exam.samples=3",
]


def of(*overrides: str, base: list[str] = TASK) -> RunConfig:
    return config(*overrides, base=base)


def trained(run: RunConfig) -> tuple[Assembly, dict[str, Any], MemoryLogger]:
    assembly, log = assemble(run), MemoryLogger()
    result = assembly.trainer(log).train(assembly.train_loader, assembly.val_loader)
    return assembly, result, log


def log_p(assembly: Assembly, prompt: torch.Tensor, answer: list[int]) -> float:
    """log p of an answer, token by token, one sequence at a time."""
    total, ids = 0.0, prompt.tolist()
    for token in answer:
        logits = assembly.model(torch.tensor([ids]))[0, -1].double()
        total += float(logits.log_softmax(-1)[token])
        ids.append(token)
    return total


def test_figures_are_those_of_a_plain_loop() -> None:
    assembly, result, log = trained(of())
    data = assembly.data.validation
    assert isinstance(data, ProblemDataset)
    assembly.model.eval()
    right, losses, confidences = [], [], []
    for row in log.answers:
        problem = data.problems[row["item"]]
        prompt = torch.from_numpy(data.prompt_ids(problem))
        ids: list[int] = []
        with torch.no_grad():
            while len(ids) < 6 and ids[-1:] != [data.end]:
                ids.append(
                    int(assembly.model(torch.cat([prompt, torch.tensor(ids, dtype=torch.int64)])[None])[0, -1].argmax())
                )
            confidences.append(math.exp(log_p(assembly, prompt, ids)))
            losses.append(-log_p(assembly, prompt, data.answer_ids(problem.truth).tolist()))
        text = data.tokenizer.decode([token for token in ids if token != data.end])
        assert (row["response"], row["answer"], row["prompt"]) == (text, problem.truth, problem.prompt)
        assert row["confidence"] == pytest.approx(confidences[-1], rel=1e-4)
        right.append(text == problem.truth)
        assert row["correct"] == right[-1]
    exam = result["exam"]
    assert exam["problems"] == len(log.answers) == 20
    assert exam["exact_match"] == sum(right) / 20
    assert exam["answer_loss"] == pytest.approx(sum(losses) / 20, rel=1e-4)
    assert exam["confidence"] == pytest.approx(sum(confidences) / 20, rel=1e-4)
    assert exam["calibration"]["brier"]["value"] == pytest.approx(
        sum((c - r) ** 2 for c, r in zip(confidences, right, strict=True)) / 20, rel=1e-4
    )


def test_where_the_truth_is_known_the_distance_to_it_is_measured() -> None:
    assembly, result, log = trained(of(base=URNS))
    data = assembly.data.validation
    assert isinstance(data, ProblemDataset)
    assembly.model.eval()
    divergences = []
    for row in log.answers:
        problem = data.problems[row["item"]]
        prompt = torch.from_numpy(data.prompt_ids(problem))
        with torch.no_grad():
            mass = [math.exp(log_p(assembly, prompt, data.answer_ids(option).tolist())) for option in problem.options]
        shares = [value / sum(mass) for value in mass]
        assert row["option_probabilities"] == pytest.approx(shares, rel=1e-3)
        assert row["true_probabilities"] == list(problem.option_probabilities)
        pairs = zip(problem.option_probabilities, shares, strict=True)
        divergences.append(sum(p * math.log(p / q) for p, q in pairs if p))
        assert row["agreement"] in (pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0)
    assert result["exam"]["truth"]["kl"]["value"] == pytest.approx(sum(divergences) / len(divergences), rel=1e-3)
    assert 0 < result["exam"]["option_mass"] <= 1 + 1e-6


def test_a_task_never_answered_right_before_training() -> None:
    """The exam can fail: weights that were never trained know nothing."""
    _, result, _ = trained(of("episode.steps=1", "episode.optimizer.lr=1e-9"))
    assert result["exam"]["exact_match"] == 0.0
    assert result["exam"]["answer_loss"] > 8  # three or four tokens of 99


def test_more_exams_change_nothing_of_the_training() -> None:
    _, once, _ = trained(of())
    _, often, log = trained(of("episode.exam.every=12", "episode.exam.samples=2"))
    assert once["weights_sha256"] == often["weights_sha256"]
    assert [("exam" in row) for row in log.evaluations] == [True, True]
    _, none, log = trained(of("episode.exam.problems=0"))
    assert none["weights_sha256"] == once["weights_sha256"] and "exam" not in none and not log.answers


def test_records_of_an_exam_and_a_resumed_run(tmp_path: Path) -> None:
    whole = train(of(), tmp_path / "whole", Caller(plots=False))
    run = RunDirectory(tmp_path / "whole")
    rows = run.predictions()
    assert len(rows) == 20 and [row["correct"] for row in rows].count(True) / 20 == whole["exam"]["exact_match"]
    summary = run.summary()
    assert summary is not None and summary.metrics["exam"] == json.loads(json.dumps(whole["exam"]))
    stopped = train(of(), tmp_path / "half", Caller(plots=False, stop=lambda: "enough"))
    assert stopped["status"] == "interrupted" and not RunDirectory(tmp_path / "half").predictions()
    again = resume(tmp_path / "half", caller=Caller(plots=False))
    assert again["weights_sha256"] == whole["weights_sha256"] and again["exam"] == whole["exam"]
    assert RunDirectory(tmp_path / "half").predictions() == rows


def test_a_corpus_has_no_exam() -> None:
    small = [
        "data.context=32",
        "model={name: decoder, layers: 1, width: 16, heads: 1, ff: 16}",
        "episode.steps=1",
        "threads=1",
    ]
    _, result, log = trained(config("episode.evaluation_windows=2", "episode.sample.tokens=0", base=small))
    assert "exam" not in result and not log.answers

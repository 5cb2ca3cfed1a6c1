"""Task evaluations: what a model answers, scored by the task, against a plain computation."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.small_runs import config
from trimtab.config import ConfigError
from trimtab.data import Batch
from trimtab.data.tasks import ProblemDataset, final_answer
from trimtab.records import RunDirectory
from trimtab.training import MemoryLogger, RunContext, resume, train
from trimtab.training.config import RunConfig
from trimtab.training.loop.task_eval import TaskEvalResult
from trimtab.training.runs.assembly import Assembly, assemble

TASK = [
    "data={name: task, task: {name: arithmetic, levels: [1], operations: [sum]}, size: 400, validation: 40, context: 24}",
    "model={name: decoder, layers: 2, width: 32, heads: 2, ff: 64}",
    "episode.steps=24",
    "episode.batch_size=16",
    "episode.precision=fp32",
    "episode.optimizer.lr=0.01",
    "episode.evaluate_every=12",
    "episode.checkpoint_every=12",
    "episode.task_eval={problems: 20, tokens: 6}",
    "threads=1",
]
URNS = [
    *TASK[1:],
    "data={name: task, task: {name: urns, levels: [1]}, size: 400, validation: 20, context: 64}",
    "episode.task_eval.samples=3",
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


def test_figures_equal_those_of_a_plain_loop() -> None:
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
    task_eval = result["task_eval"]
    assert task_eval["problems"] == len(log.answers) == 20
    assert task_eval["exact_match"] == sum(right) / 20
    assert task_eval["answer_loss"] == pytest.approx(sum(losses) / 20, rel=1e-4)
    assert task_eval["confidence"] == pytest.approx(sum(confidences) / 20, rel=1e-4)
    assert task_eval["calibration"]["brier"]["value"] == pytest.approx(
        sum((c - r) ** 2 for c, r in zip(confidences, right, strict=True)) / 20, rel=1e-4
    )


def test_with_exact_distributions_the_distance_to_them_is_measured() -> None:
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
    assert result["task_eval"]["truth"]["kl"]["value"] == pytest.approx(sum(divergences) / len(divergences), rel=1e-3)
    assert 0 < result["task_eval"]["option_mass"] <= 1 + 1e-6


class ExactUrns(nn.Module):
    """A model that answers each question of urns by its exact distribution, and then ends; `power` sharpens it."""

    def __init__(self, data: ProblemDataset, power: float) -> None:
        super().__init__()
        self.context, self.end, self.size = 64, data.end, data.tokenizer.vocabulary
        self.known, self.nothing = {}, nn.Parameter(torch.zeros(1))
        for problem in data.problems:
            logits = torch.full((self.size,), -math.inf)
            for option, p in zip(problem.options, problem.option_probabilities, strict=True):
                logits[data.answer_ids(option)[0]] = power * math.log(max(p, 1e-12))
            self.known[tuple(data.prompt_ids(problem).tolist())] = logits

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        logits = torch.full((*ids.shape, self.size), -math.inf)
        logits[..., self.end] = 0.0
        for row, tokens in enumerate(ids.tolist()):
            for start in range(len(tokens)):  # after padding on the left
                for end in range(start + 1, len(tokens) + 1):
                    if (distribution := self.known.get(tuple(tokens[start:end]))) is not None:
                        logits[row, end - 1] = distribution
        return logits


def evaluated(assembly: Assembly, model: nn.Module) -> TaskEvalResult:
    """The task evaluation of any model, one question at a time."""

    def forward(batch: Batch) -> tuple[Tensor, Tensor, Mapping[str, Any]]:
        return model(batch.input_ids)[:, :-1], batch.labels[:, 1:], {}

    assert assembly.task_eval is not None
    assembly.task_eval.batch_size = 1
    return assembly.task_eval(model, forward, torch.Generator())


def test_a_model_that_reports_the_exact_distribution_is_calibrated_and_has_the_lowest_loss() -> None:
    """A true confidence cannot be compared with whether an answer is the likeliest option, only with whether it was drawn."""
    size = "data={name: task, task: {name: urns, levels: [2]}, size: 400, validation: 500, context: 64}"
    assembly = assemble(of(size, "episode.task_eval={problems: 500, tokens: 3, samples: 0}", base=URNS[:-1]))
    assert isinstance(assembly.data.validation, ProblemDataset)
    losses = {}
    for power in (0.1, 1.0, 2.0):
        result = evaluated(assembly, ExactUrns(assembly.data.validation, power))
        assert result.figures["exact_match"] == 1.0  # it always names a likeliest option
        ece, over = result.figures["calibration"]["ece"], result.figures["calibration"]["overconfidence"]
        assert (ece["value"] < ece["null_high"]) == (power == 1.0)
        sd = (over["high"] - over["low"]) / 3.92
        assert {0.1: over["high"] < 0, 1.0: abs(over["value"]) < 3 * sd, 2.0: over["low"] > 0}[power]
        losses[power] = result.figures["answer_loss"]
    assert losses[1.0] == min(losses.values())
    entropy = [-sum(p * math.log(p) for p in row["true_probabilities"] if p) for row in result.predictions]
    assert losses[1.0] == pytest.approx(sum(entropy) / len(entropy))
    again = evaluated(assembly, ExactUrns(assembly.data.validation, 1.0)).predictions
    assert [row["outcome"] for row in again] == [row["outcome"] for row in result.predictions]
    assert all(row["hit"] == (row["response"] == row["outcome"]) for row in again)


@pytest.mark.parametrize("base", [TASK, URNS])
def test_a_model_with_nonfinite_logits_has_nan_in_every_figure(base: list[str]) -> None:
    sound, _, _ = trained(of("episode.steps=1", base=base))
    whole = evaluated(sound, sound.model)
    broken = assemble(of(base=base))
    with torch.no_grad():
        for parameter in broken.model.parameters():
            parameter.fill_(math.nan)
    result = evaluated(broken, broken.model)
    assert result.figures.keys() == whole.figures.keys()
    for name in ("calibration", "truth"):
        assert name not in whole.figures or result.figures[name].keys() == whole.figures[name].keys()
    assert math.isnan(result.figures["confidence"]) and math.isnan(result.figures["answer_loss"])
    assert math.isnan(result.figures["calibration"]["ece"]["value"])
    assert all(math.isnan(row["confidence"]) for row in result.predictions)  # and none of them 1


def test_agreement_compares_finalanswers(monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = "data.task={name: arithmetic, levels: [1], operations: [sum], scratch: true}"
    assembly = assemble(of(scratch, "data.context=48", "episode.task_eval.samples=3"))
    task_eval = assembly.task_eval
    assert task_eval is not None
    ways = iter(["7+8=15;85", "7+8=15;3+4+1=8;85", "85;86"])
    answers = task_eval.answers(assembly.model, torch.Generator(), 0.0)
    monkeypatch.setattr(
        task_eval,
        "answers",
        lambda *_: [
            type(one)(one.tokens, one.log_probabilities, "stop", way) for way in [next(ways)] for one in answers
        ],
    )
    assert task_eval._agreement(assembly.model, torch.Generator()) == pytest.approx([2 / 3] * 20)


@pytest.mark.parametrize(
    ("task", "same", "other"),
    [
        ("{name: word_problems, solution: true}", ["3 + 4 = 7. #### 7", "#### 7.0", "7"], "#### 8"),
        ("{name: arithmetic, scratch: true}", ["7+8=15;85", "85", "1;085"], "85;86"),
        ("{name: arithmetic}", ["85", "85.0", "85 or so"], "-85"),
        ("{name: urns}", ["r", "r.", "r because"], "b"),
        ("{name: logic}", ["yes", "Yes, it does"], "no"),
    ],
)
def test_responses_with_the_same_final_answer_agree(task: str, same: list[str], other: str) -> None:
    data = assemble(of(f"data.task={task}", "data.context=400")).data
    assert data.task is not None and isinstance(data.validation, ProblemDataset)
    counts = Counter(final_answer(data.task, data.validation.problems[0], text) for text in [*same, other])
    assert sorted(counts.values()) == [1, len(same)]


@pytest.mark.parametrize("probabilities", [False, True])
def test_options_may_have_exact_probabilities_or_none(tmp_path: Path, probabilities: bool) -> None:
    rows = [
        {
            "prompt": f"question {number}",
            "answer": "left",
            "options": ["left", "right", "ahead"][: 2 + number % 2],
            "probabilities": [0.5, 0.5, 0.0][: 2 + number % 2],
        }
        for number in range(200)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = "options_key: options" + (", probabilities_key: probabilities" if probabilities else "")
    task = f"{{name: jsonl, path: {tmp_path / 'rows.jsonl'}, prompt_key: prompt, answer_key: answer, {keys}}}"
    data = f"data={{name: task, task: {task}, size: null, validation: null, context: 64}}"
    _, result, log = trained(of(data, "episode.steps=2", base=URNS))
    assert ("truth" in result["task_eval"]) == probabilities and 0 < result["task_eval"]["option_mass"] <= 1
    for row in log.answers:
        assert sum(row["option_probabilities"]) == pytest.approx(1)
        assert (row["outcome"] in row["options"]) if probabilities else (row["outcome"] is None)
        assert row["hit"] is None or probabilities


def test_problems_with_and_without_exact_probabilities_are_evaluated_together() -> None:
    """Of the doubtful rows the distribution of the label is known, of the others it is not."""
    noisy = "data.noise={flip: 0.4, validation: true}"
    _, result, log = trained(of("data.task={name: logic, kind: entailment}", noisy, "data.context=128"))
    known = [row for row in log.answers if row["true_probabilities"]]
    assert known and result["task_eval"]["truth"]["items"] == len(known)


def test_a_task_never_answered_right_before_training() -> None:
    """The task evaluation can fail: weights that were never trained know nothing."""
    _, result, _ = trained(of("episode.steps=1", "episode.optimizer.lr=1e-9"))
    assert result["task_eval"]["exact_match"] == 0.0
    assert result["task_eval"]["answer_loss"] > 8  # three or four tokens of 99


def test_more_task_evaluations_leave_the_training_unchanged() -> None:
    _, once, _ = trained(of())
    _, often, log = trained(of("episode.task_eval.every=12", "episode.task_eval.samples=2"))
    assert once["weights_sha256"] == often["weights_sha256"]
    assert [("task_eval" in row) for row in log.evaluations] == [True, True]
    _, none, log = trained(of("episode.task_eval.problems=0"))
    assert none["weights_sha256"] == once["weights_sha256"] and "task_eval" not in none and not log.answers


def test_a_resumed_run_records_the_same_task_evaluation(tmp_path: Path) -> None:
    whole = train(of(), tmp_path / "whole", RunContext())
    run = RunDirectory(tmp_path / "whole")
    rows = run.predictions()
    assert len(rows) == 20 and [row["correct"] for row in rows].count(True) / 20 == whole["task_eval"]["exact_match"]
    summary = run.summary()
    assert summary is not None and summary.metrics["task_eval"] == json.loads(json.dumps(whole["task_eval"]))
    stopped = train(of(), tmp_path / "half", RunContext(stop=lambda: "enough"))
    assert stopped["status"] == "interrupted" and not RunDirectory(tmp_path / "half").predictions()
    again = resume(tmp_path / "half", context=RunContext())
    assert again["weights_sha256"] == whole["weights_sha256"] and again["task_eval"] == whole["task_eval"]
    assert RunDirectory(tmp_path / "half").predictions() == rows


def test_a_corpus_has_no_task_evaluation() -> None:
    small = [
        "data.context=32",
        "model={name: decoder, layers: 1, width: 16, heads: 1, ff: 16}",
        "episode.steps=1",
        "threads=1",
    ]
    _, result, log = trained(config("episode.evaluation_windows=2", "episode.sample.tokens=0", base=small))
    assert "task_eval" not in result and not log.answers


WILD = ["episode.optimizer.lr=1e6", "episode.clip=null", "episode.diverged_after=6"]


def test_a_diverged_run_records_the_untrained_models_figures(tmp_path: Path) -> None:
    doubled = "episode.loss={name: 'tests.training.loop.test_passes:Doubled'}"
    result = train(of(*WILD, doubled, base=URNS), tmp_path / "wild", RunContext())
    assert result["status"] == "diverged"
    fresh = assemble(of(base=URNS))
    expected = evaluated(fresh, fresh.model.eval()).figures
    for name in ("exact_match", "answer_loss", "confidence"):
        assert result["untrained"]["task_eval"][name] == pytest.approx(expected[name], rel=1e-4)
    assert result["untrained"]["val_loss"] == pytest.approx(result["untrained_loss"], rel=0.1)
    # The training loss is of the loss that is trained on, so it is capped at what the untrained model scores by that loss.
    assert result["untrained"]["train_loss"] == RunDirectory(tmp_path / "wild").steps()[0]["train_loss"]
    assert result["untrained"]["train_loss"] == pytest.approx(2 * result["untrained_loss"])
    sound = train(of(base=URNS), tmp_path / "sound", RunContext())
    assert "untrained" not in sound


class Overflows(nn.Module):
    """Works in training mode; in evaluation mode its logits are not finite."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.context = inner, getattr(inner, "context")  # noqa: B009

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        logits = self.inner(*args, **kwargs)
        return logits if self.training else logits * math.nan


@pytest.mark.parametrize("stop", [[], ["episode.early_stopping={patience: 1}"]])
def test_a_run_whose_last_validation_loss_is_not_finite_has_diverged(stop: list[str]) -> None:
    assembly, log = assemble(of(*stop)), MemoryLogger()
    trainer = assembly.trainer(log)
    trainer.passes.model = trainer.evaluator.passes.model = Overflows(assembly.model)
    result = trainer.train(assembly.train_loader, assembly.val_loader)
    assert (result["status"], result["steps"]) == ("diverged", 12 if stop else 24)
    assert log.events[-1]["reason"] == "the validation loss at the end is nan"
    assert math.isnan(result["task_eval"]["answer_loss"]) and math.isnan(
        result["task_eval"]["calibration"]["ece"]["value"]
    )


def test_the_best_checkpoint_may_go_by_a_task_evaluation(tmp_path: Path) -> None:
    by = ["episode.task_eval.every=12", "episode.best_metric=task_eval.answer_loss", "episode.evaluate_every=6"]
    result = train(of(*by, "episode.keep_checkpoints=1", "episode.steps=30"), tmp_path / "run")
    losses = {
        row["step"]: row["task_eval"]["answer_loss"]
        for row in RunDirectory(tmp_path / "run").evaluations()
        if "task_eval" in row
    }
    assert list(losses) == [12, 24, 30]
    assert result["best_step"] == min(losses, key=lambda step: losses[step])
    assert result["best_value"] == min(losses.values())
    with pytest.raises(
        ConfigError, match=r"episode\.best_metric: 'task_eval\.truth\.kl\.value' needs problems whose exact"
    ):
        assemble(of("episode.task_eval.every=12", "episode.best_metric=task_eval.truth.kl.value"))


def test_a_run_stopped_early_has_a_task_evaluation() -> None:
    _, result, _ = trained(of("episode.early_stopping={patience: 1, minimum_gain: 50.0}", "episode.steps=48"))
    assert (result["status"], result["steps"]) == ("stopped", 24) and result["task_eval"]["problems"] == 20

"""Benchmark of tasks: drawing problems, parsing answers in long texts, scoring, calibration, and completing prompts."""

from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from trimtab.bench.timing import interleaved, median_ratio
from trimtab.data import CharacterTokenizer
from trimtab.data.loader import collate_indices
from trimtab.data.tasks import ProblemDataset
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.logic import Logic
from trimtab.data.tasks.numbers import final_number
from trimtab.data.tasks.spec import Spec
from trimtab.data.tasks.spec.scoring import compare
from trimtab.data.tasks.urns import Urns
from trimtab.data.tasks.word_problems import WordProblems
from trimtab.evaluation.calibration import calibration_report
from trimtab.generation import complete
from trimtab.models import Decoder

PROBLEMS, LETTERS, ANSWERS, RESAMPLES, BATCH, PROMPTS, TOKENS = 3000, 1_000_000, 10_000, 1000, 64, 16, 64


def bench_tasks(rounds: int, say: Callable[[str], None]) -> dict[str, float]:
    """Problems per second of every generated task, seconds for parsing and scoring, and the speed-up of batched completion."""
    tasks = {
        "arithmetic": Arithmetic(),
        "arithmetic_scratch": Arithmetic(scratch=True),
        "urns": Urns(),
        "word_problems": WordProblems(),
        "logic_entailment": Logic(kind="entailment"),
        "logic_knights": Logic(kind="knights"),
        "spec": Spec(),
    }
    say(f"{rounds} rounds of {PROBLEMS} problems of {len(tasks)} tasks")
    seconds = interleaved({name: _drawn(task) for name, task in tasks.items()}, rounds, warmup=1)
    figures = {f"tasks.{name}_per_second": PROBLEMS / median(times) for name, times in seconds.items()}
    say(f"{rounds} rounds of parsing a million letters, scoring {ANSWERS:,} answers, batching, {PROMPTS} completions")
    confidence = np.random.default_rng(0).uniform(size=ANSWERS)
    correct = np.random.default_rng(1).uniform(size=ANSWERS) < confidence
    dataset = ProblemDataset(Arithmetic().split("train", BATCH, 0), CharacterTokenizer())
    seconds = interleaved(
        {
            "final_number": lambda: final_number("1,234," * (LETTERS // 6) + "5"),
            "spec_scoring": lambda: compare("[" + "1," * (LETTERS // 2) + "1]", '{"name": "a"}'),
            "calibration": lambda: calibration_report(confidence, correct, bootstrap=RESAMPLES, null=0, seed=0),
            "kept_batch": lambda: collate_indices(dataset, list(range(BATCH))),
        },
        rounds,
        warmup=1,
    )
    figures |= {f"tasks.{name}_seconds": median(times) for name, times in seconds.items()}
    return figures | _completions(rounds)


def _drawn(task: GeneratedTask) -> Callable[[], object]:
    return lambda: task.split("train", PROBLEMS, 0)


def _completions(rounds: int) -> dict[str, float]:
    model = Decoder(vocabulary=99, context=256).eval()
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(99, (20 + 3 * row,), generator=draw) for row in range(PROMPTS)]

    def answer(*batches: list[torch.Tensor]) -> None:
        for batch in batches:
            complete(model, batch, TOKENS, generator=torch.Generator(), temperature=0.0)

    variants = {"together": lambda: answer(prompts), "one_by_one": lambda: answer(*([prompt] for prompt in prompts))}
    seconds = interleaved(variants, rounds, warmup=1)
    return {"tasks.completion_ratio": median_ratio(seconds["one_by_one"], seconds["together"])}

"""Benchmark of a pretrained model: loading, a step of low-rank training, and generation in a batch and one by one."""

import time
from collections.abc import Callable
from statistics import median

import torch

from trimtab.bench.flops import matmul_peak
from trimtab.bench.timing import interleaved, median_ratio
from trimtab.data import PretrainedTokenizer
from trimtab.generation import complete
from trimtab.models.pretrained.model import Pretrained
from trimtab.records import peak_rss_mb
from trimtab.training import MemoryLogger
from trimtab.training.config import resolve_config
from trimtab.training.runs.assembly import Assembly, assemble

PROMPTS, TOKENS, BATCH, CONTEXT = 16, 24, 4, 256
QUESTIONS = ("What is the capital of France?", "Say hello.", "Name a yellow fruit.", "Why is the sky blue?")


def bench_pretrained(path: str, rounds: int, threads: int, say: Callable[[str], None]) -> dict[str, float | str]:
    """Seconds, ratios and the peak memory in MiB of the model at `path`; imports are not part of the timings."""
    assembly = assemble(
        resolve_config(
            {
                "threads": threads,
                "data": {"context": CONTEXT, "tokenizer": {"name": "pretrained", "path": path}},
                "model": {"name": "pretrained", "path": path, "adapt": [{"name": "lora"}]},
                "episode": {"batch_size": BATCH, "sample": {"tokens": 0}},
            },
            source="bench",
        )
    )
    trainer = assembly.trainer(MemoryLogger())
    trainer.prepare()
    figures: dict[str, float | str] = {"pretrained.precision": assembly.config.episode.precision}
    say(f"{rounds} steps of low-rank training, {BATCH} × {CONTEXT} tokens")
    steps = interleaved({"step": lambda: trainer.step(assembly.train_loader)}, rounds, warmup=1)["step"]
    figures["pretrained.lora_step_seconds"] = median(steps)
    figures["pretrained.lora_step_share_of_peak"] = _share_of_peak(assembly, median(steps))
    figures["pretrained.lora_peak_rss_mb"] = peak_rss_mb()
    started = time.perf_counter()
    model = Pretrained(path=path, adapt=()).eval()
    figures["pretrained.load_seconds"] = time.perf_counter() - started
    say(f"{rounds} rounds of {PROMPTS} prompts, {TOKENS} tokens each, in one batch and one by one")
    return figures | _generation(model, PretrainedTokenizer(path=path), rounds)


def _share_of_peak(assembly: Assembly, seconds: float) -> float:
    """Of the peak of matrix products. Every frozen matrix counts once forward and once for the gradient of its inputs."""
    precision = torch.bfloat16 if assembly.config.episode.precision == "bf16" else torch.float32
    matrices = {id(m.weight): m.weight.numel() for m in assembly.model.modules() if isinstance(m, torch.nn.Linear)}
    return 4.0 * sum(matrices.values()) * BATCH * CONTEXT / seconds / matmul_peak(precision)


def _generation(model: Pretrained, tokenizer: PretrainedTokenizer, rounds: int) -> dict[str, float]:
    texts = [f"{QUESTIONS[index % len(QUESTIONS)]} ({index})" for index in range(PROMPTS)]
    prompts = [torch.from_numpy(tokenizer.encode(text).astype("int64")) for text in texts]

    def together() -> None:
        complete(model, prompts, TOKENS, generator=torch.Generator(), temperature=0.0)

    def one_by_one() -> None:
        for prompt in prompts:
            complete(model, [prompt], TOKENS, generator=torch.Generator(), temperature=0.0)

    seconds = interleaved({"together": together, "one_by_one": one_by_one}, rounds, warmup=1)
    return {
        "pretrained.generation_ratio": median_ratio(seconds["one_by_one"], seconds["together"]),
        "pretrained.generated_tokens_per_second": PROMPTS * TOKENS / median(seconds["together"]),
        "pretrained.tokens_per_second_one_by_one": PROMPTS * TOKENS / median(seconds["one_by_one"]),
    }

"""What a pretrained model costs here: loading, a step of low-rank training, batched generation against one prompt at a time."""

import time
from collections.abc import Callable
from statistics import median

import torch

from trimtab.bench.timing import interleaved, median_ratio
from trimtab.data import PretrainedTokenizer
from trimtab.losses import CrossEntropy
from trimtab.models import complete
from trimtab.models.pretrained.model import Pretrained
from trimtab.models.pretrained.parts import Lora
from trimtab.training.device import apply_precision, has_native_bf16, keep_freed_memory, set_numerics

PROMPTS, TOKENS, BATCH, CONTEXT = 16, 24, 4, 256
QUESTIONS = (
    "What is the capital of France?",
    "Say hello.",
    "Name a fruit that is yellow, sweet and long.",
    "Why is the sky blue?",
)


def bench_pretrained(path: str, rounds: int, threads: int, say: Callable[[str], None]) -> dict[str, float | str]:
    """Seconds and ratios of the model at `path`, whose imports are done before anything is timed."""
    set_numerics("cpu", threads)
    keep_freed_memory()
    Pretrained(path=path, adapt=(Lora(),))
    begun = time.perf_counter()
    model = Pretrained(path=path, adapt=(Lora(),)).eval()
    figures: dict[str, float | str] = {"pretrained.load_seconds": time.perf_counter() - begun}
    precision = "bf16" if has_native_bf16("cpu") else "fp32"
    apply_precision(model, precision)
    figures["pretrained.precision"] = precision
    tokenizer = PretrainedTokenizer(path=path)
    say(f"{rounds} rounds of {PROMPTS} prompts, {TOKENS} tokens each, together and one by one")
    figures |= _generation(model, tokenizer, rounds)
    say(f"{rounds} steps of low-rank training, {BATCH} × {CONTEXT} tokens, {precision}")
    figures["pretrained.lora_step_seconds"] = _step_seconds(model, tokenizer.vocabulary, rounds)
    return figures


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
    }


def _step_seconds(model: Pretrained, vocabulary: int, rounds: int) -> float:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(0, vocabulary, (BATCH, CONTEXT + 1), generator=torch.Generator().manual_seed(0))
    loss_fn = CrossEntropy()

    def step() -> None:
        output = loss_fn(model(ids[:, :-1]), ids[:, 1:], {})
        output["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return median(interleaved({"step": step}, rounds, warmup=1)["step"])

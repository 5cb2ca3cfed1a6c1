"""SmolLM2-135M, imported by the command: its answer, tokenizer, padding, batches, and memory for training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.models.pretrained.test_offline import BLOCKED
from trimtab.data import PretrainedTokenizer
from trimtab.generation import complete
from trimtab.models.pretrained.importing import describe
from trimtab.models.pretrained.model import Pretrained

pytestmark = pytest.mark.slow

QUESTIONS = [
    f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    for text in (
        "What is the capital of France?",
        "Say hello.",
        "Name a fruit that is yellow, sweet and long, and that monkeys are said to like.",
        "What colour is the sky on a clear day at noon?",
    )
    for _ in range(4)
]


def child(code: str, folder: Path, threads: int = 2) -> dict:
    """What a fresh process prints as JSON."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    result: dict = json.loads(done.stdout.splitlines()[-1])
    return result


def test_it_answers_a_question_without_internet_access(smollm2: Path) -> None:
    code = f"{BLOCKED}\nimport sys\nfrom trimtab.cli.commands import app\n" + (
        "question = 'What is the capital of France?'\n"
        "try:\n    app(['models', 'ask', sys.argv[1], question, '--json'])\n"
        "except SystemExit as end:\n    assert not end.code\nassert not attempts, attempts"
    )
    answer = child(code, smollm2)
    assert "Paris" in answer["answer"]
    assert answer["ended"] == "stop"
    assert answer["log_probability"] < 0


def test_the_imported_model_and_tokenizer(smollm2: Path) -> None:
    model = describe(smollm2)
    assert (model.parameters, model.licence) == (134_515_008, "Apache-2.0")
    tokenizer = PretrainedTokenizer(path=str(smollm2))
    assert (tokenizer.vocabulary, tokenizer.texts()[tokenizer.end or 0]) == (49152, "<|im_end|>")
    texts = tokenizer.texts()
    assert [texts[i] for i in tokenizer.encode("It is  1234.\n\n5")] == [
        "It",
        " is",
        "  ",
        "1",
        "2",
        "3",
        "4",
        ".",
        "\n\n",
        "5",
    ]


def test_padding_does_not_change_logits_in_fp32(smollm2: Path) -> None:
    model = Pretrained(path=str(smollm2), adapt=()).eval()
    tokenizer = PretrainedTokenizer(path=str(smollm2))
    rows = [torch.tensor(tokenizer.encode(text).astype("int64")) for text in (QUESTIONS[0], QUESTIONS[8])]
    width = max(map(len, rows)) + 5
    largest = 0.0
    for side in ("left", "right"):
        padded, real = torch.zeros(2, width, dtype=torch.long), torch.zeros(2, width, dtype=torch.bool)
        for index, row in enumerate(rows):
            where = slice(width - len(row), width) if side == "left" else slice(0, len(row))
            padded[index, where], real[index, where] = row, True
        with torch.no_grad():
            logits = model(padded, real)
            for index, row in enumerate(rows):
                largest = max(largest, float((logits[index][real[index]] - model(row[None])[0]).abs().max()))
    print(f"largest difference: {largest:.2e}")
    assert largest < 2e-4


def test_sixteen_prompts_generate_the_same_together_and_alone(smollm2: Path) -> None:
    """`trimtab bench pretrained` measures the speed."""
    model = Pretrained(path=str(smollm2), adapt=()).eval()
    tokenizer = PretrainedTokenizer(path=str(smollm2))
    prompts = [torch.tensor(tokenizer.encode(text).astype("int64")) for text in QUESTIONS]
    settings = {"generator": torch.Generator(), "temperature": 0.0, "decode": tokenizer.decode}
    stop = {tokenizer.end or 0}
    batched = complete(model, prompts, 12, **settings, stop=stop)
    single = [complete(model, [prompt], 12, **settings, stop=stop)[0] for prompt in prompts]
    assert [row.tokens.tolist() for row in batched] == [row.tokens.tolist() for row in single]


def test_a_step_of_low_rank_training_in_bf16_stays_under_3_5_gb(smollm2: Path) -> None:
    code = """
import json, resource, sys
import torch
from torch.nn import functional
from trimtab.models.pretrained.model import Pretrained
from trimtab.models.pretrained.adaptation import Lora
from trimtab.runtime.device import has_native_bf16

model = Pretrained(path=sys.argv[1], adapt=(Lora(),)).train()
model.compute_dtype = torch.bfloat16
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
# Without native bf16 the gradient of the head takes 34 s for 256 tokens, in fp32 0.8 s.
shape = (4, 257) if has_native_bf16("cpu") else (1, 65)
rows = torch.randint(0, 49152, shape, generator=torch.Generator().manual_seed(0))
for _ in range(2):
    logits = model(rows[:, :-1])
    functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()
print(json.dumps({"gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))
"""
    peak = child(code, smollm2)["gb"]
    print(f"peak: {peak:.2f} GB")
    assert peak < 3.5

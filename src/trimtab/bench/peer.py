"""The peer's recipe: a character model trained on a CPU as nanoGPT's README does it (settings: github.com/karpathy/nanoGPT).

A program of its own that imports torch and numpy, and of Trimtab only a model made of torch's layers. So its start-up time is
that of a loop as people write it. It reads arrays that were prepared beforehand, as nanoGPT's loop does.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trimtab.bench.gpt import ReferenceModel
from trimtab.bench.held_out import held_out_loss

CONTEXT, BATCH, LAYERS, WIDTH, HEADS = 64, 12, 4, 128, 4
STEPS, WARMUP, LR, LOWEST_LR = 2000, 100, 1e-3, 1e-4
EVALUATE_EVERY, EVALUATION_BATCHES = 250, 20


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to `LOWEST_LR` at the last step."""
    if step < WARMUP:
        return LR * (step + 1) / (WARMUP + 1)
    progress = (step - WARMUP) / max(1, steps - WARMUP)
    return LOWEST_LR + 0.5 * (1 + math.cos(math.pi * min(1.0, progress))) * (LR - LOWEST_LR)


def model_of(vocabulary: int) -> ReferenceModel:
    """The model, with the matrices that write to the residual stream scaled as in GPT-2."""
    model = ReferenceModel(
        vocabulary=vocabulary, context=CONTEXT, layers=LAYERS, width=WIDTH, heads=HEADS, ff=4 * WIDTH, dropout=0.0
    )
    for name, parameter in model.named_parameters():
        if name.endswith(("attention.output.weight", "mlp.2.weight")):
            nn.init.normal_(parameter, mean=0.0, std=0.02 / math.sqrt(2 * LAYERS))
    return model


def train(train_ids: np.ndarray, validation_ids: np.ndarray, vocabulary: int, seed: int, steps: int) -> nn.Module:
    """The trained model."""
    torch.manual_seed(seed)
    model = model_of(vocabulary)
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.99))
    inputs, targets = draw(train_ids)
    for step in range(steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        if step % EVALUATE_EVERY == 0:
            for split in (train_ids, validation_ids):
                estimate(model, split)
        if step == steps:
            break
        loss = loss_of(model, inputs, targets)
        inputs, targets = draw(train_ids)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
    return model


def draw(ids: np.ndarray) -> tuple[Tensor, Tensor]:
    """A batch of windows at random places."""
    starts = torch.randint(len(ids) - CONTEXT, (BATCH,)).tolist()
    inputs = torch.stack([torch.from_numpy(ids[i : i + CONTEXT].astype(np.int64)) for i in starts])
    targets = torch.stack([torch.from_numpy(ids[i + 1 : i + 1 + CONTEXT].astype(np.int64)) for i in starts])
    return inputs, targets


def loss_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy in nats."""
    logits = model(inputs)
    return functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


@torch.no_grad()
def estimate(model: nn.Module, ids: np.ndarray) -> float:
    """The mean loss of some random batches."""
    model.eval()
    losses = [loss_of(model, *draw(ids)).item() for _ in range(EVALUATION_BATCHES)]
    model.train()
    return sum(losses) / len(losses)


def main(folder: Path, seed: int, threads: int, steps: int, started: float) -> None:
    """Train on the arrays in `folder`; prints the seconds since `started` and the held-out loss as JSON."""
    torch.set_num_threads(threads)
    train_ids, validation_ids = (np.load(folder / f"{split}.npy", mmap_mode="r") for split in ("train", "validation"))
    vocabulary = int(json.loads((folder / "text.json").read_text())["vocabulary"])
    model = train(train_ids, validation_ids, vocabulary, seed, steps)
    seconds = time.time() - started
    loss = held_out_loss(model.eval(), np.load(folder / "validation.npy"), CONTEXT)
    print(json.dumps({"seconds": seconds, "loss": loss}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))

"""The measure of the time-to-loss benchmark, the same for every recipe."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


@torch.no_grad()
def held_out_loss(model: nn.Module, ids: np.ndarray, context: int, batch: int = 64) -> float:
    """The mean loss in nats per token over all of `ids`, in windows of `context` that follow each other without overlap.

    Each token but the first is a target once; a last part shorter than a window is left out.
    """
    windows = (len(ids) - 1) // context
    tokens = torch.from_numpy(ids[: windows * context + 1].astype(np.int64))
    inputs, targets = tokens[:-1].view(windows, context), tokens[1:].view(windows, context)
    total = 0.0
    for start in range(0, windows, batch):
        logits = model(inputs[start : start + batch])
        chosen = targets[start : start + batch]
        total += float(functional.cross_entropy(logits.flatten(0, 1).float(), chosen.flatten(), reduction="sum"))
    return total / targets.numel()

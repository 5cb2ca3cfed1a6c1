"""A small vocabulary with digits, batches on it, and every shipped loss with the metadata that it needs."""

from typing import Any

import torch
from torch import Tensor

from trimtab.losses.module import IGNORE
from trimtab.losses.propriety import TEXTS, token_values
from trimtab.training.components import LOSSES

VOCABULARY = len(TEXTS)
BATCH, TIME = 8, 5
TARGETS = 3

_SUM: list[dict[str, Any]] = [
    {"name": "cross_entropy"},
    {"name": "number_token", "weight": 0.3},
    {"name": "ranked_probability", "weight": 0.2},
    {"name": "weighted", "weight": 0.5},
]

SPECS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"name": "cross_entropy"},
    "label_smoothing": {"name": "label_smoothing"},
    "uncertainty_smoothing": {"name": "uncertainty_smoothing", "maximum": 0.5},
    "focal": {"name": "focal"},
    "focal with a fractional power": {"name": "focal", "gamma": 0.5},
    "generalized": {"name": "generalized_cross_entropy"},
    "generalized by tag": {"name": "generalized_cross_entropy", "tag": "uncertainty"},
    "weighted": {"name": "weighted"},
    "weighted sequences": {"name": "weighted", "curve": "exponential", "strength": 3.0, "unit": "sequence"},
    "weighted tokens": {"name": "weighted", "tag": "token_uncertainty"},
    "gaussian": {"name": "soft_tokens", "share": 0.7},
    "gaussian by tag": {"name": "soft_tokens", "tag": "uncertainty"},
    "exponential": {"name": "soft_tokens", "targets": "exponential", "neighbours": 4},
    "classes": {"name": "soft_tokens", "targets": "classes", "classes": [["a", "b"], ["1", "2", "3"]], "roles": None},
    "set": {"name": "soft_tokens", "targets": "set", "roles": None},
    "number_token": {"name": "number_token"},
    "number_token mse": {"name": "number_token", "distance": "mse"},
    "quantities alone": {"name": "number_token", "roles": [1]},
    "ranked_probability": {"name": "ranked_probability"},
    "entropy": {"name": "entropy"},
    "confidence_penalty": {"name": "confidence_penalty"},
    "mmce": {"name": "mmce"},
    "soft_binned_ece": {"name": "soft_binned_ece"},
    "activation_sparsity": {"name": "activation_sparsity", "target": 0.5},
    "activation_norm": {"name": "activation_norm"},
    "sum": {"name": "sum", "terms": _SUM},
    "sum with a calibration term": {
        "name": "sum",
        "terms": [{"name": "cross_entropy"}, {"name": "mmce", "weight": 0.2}],
    },
    "sum within a sum": {"name": "sum", "terms": [{"name": "entropy"}, {"name": "sum", "terms": _SUM, "weight": 0.5}]},
}

ON_LABELS = [name for name in SPECS if not name.startswith("activation")]
"""The losses that read the logits."""


def loss_of(spec: str | dict[str, Any]) -> Any:
    resolved = LOSSES.resolve(SPECS[spec] if isinstance(spec, str) else spec)
    return LOSSES.build(resolved, token_values=token_values(), token_texts=TEXTS)


def logits_of(seed: int = 0, dtype: torch.dtype = torch.float64, batch: int = BATCH, time: int = TIME) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(batch, time, VOCABULARY, generator=generator, dtype=torch.float64) * 2
    return drawn.to(dtype).requires_grad_()


def labels_of(seed: int = 1, batch: int = BATCH, time: int = TIME) -> Tensor:
    """Labels with uneven numbers of targets: none in the first example, all positions in the last."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(VOCABULARY, (batch, time), generator=generator)
    counts = torch.randint(time + 1, (batch,), generator=generator)
    counts[0], counts[-1] = 0, time
    labels[torch.arange(time) >= counts[:, None]] = IGNORE
    return labels


def metadata_of(seed: int = 2, batch: int = BATCH, time: int = TIME) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(batch, time, TARGETS, generator=generator)
    weights = weights / weights.sum(-1, keepdim=True)
    weights[torch.rand(batch, time, generator=generator) < 0.3] = 0
    return {
        "uncertainty": torch.rand(batch, generator=generator).tolist(),
        "token_uncertainty": torch.rand(batch, time, generator=generator),
        "role": torch.randint(3, (batch, time), generator=generator),
        "target_ids": torch.rand(batch, time, VOCABULARY, generator=generator).argsort(-1)[..., :TARGETS],
        "target_weights": weights,
        "activations": {
            name: torch.randn(batch, time, 4, generator=generator, dtype=torch.float64).requires_grad_()
            for name in ("blocks.0", "blocks.1")
        },
        "prompt": [f"example {n}" for n in range(batch)],
    }


def rows(metadata: dict[str, Any], chosen: Any) -> dict[str, Any]:
    """The metadata of some examples."""

    def part(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: part(item) for key, item in value.items()}
        if isinstance(value, Tensor):
            return value[torch.as_tensor(chosen)]
        return [value[int(n)] for n in chosen]

    return {key: part(value) for key, value in metadata.items()}

"""Content memory on SmolLM2-135M: packed compared with plain losses, and gates that close on random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.memory.engine.test_packed import measured
from trimtab.bench.reference_memory import plain_losses
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.data import PretrainedTokenizer
from trimtab.memory.config import MemoryConfig
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import PairTargets
from trimtab.memory.run import run_memory

pytestmark = pytest.mark.slow

PAIRS = [
    ("In what country is Normandy located?", "France"),
    ("When were the Normans in Normandy?", "10th and 11th centuries"),
    ("What century did the Normans first gain their separate identity?", "10th century"),
]


def test_packed_losses_and_gradients_equal_the_plain_ones(smollm2: Path) -> None:
    """Losses to 1e-5, gradients to 5e-5 of their norm: closer than either is to the gradient in float64 (2e-4)."""
    net = FrozenNetwork(path=str(smollm2))
    tokenizer = PretrainedTokenizer(path=str(smollm2))
    generator = torch.Generator().manual_seed(0)
    modes = tuple(torch.randn(1, net.width, generator=generator) * net.scale for _ in range(2))
    targets = [
        PairTargets(
            f"p{n}", tuple(Branch(side, tuple(tokenizer.encode(text).tolist())) for side, text in enumerate(texts))
        )
        for n, texts in enumerate(PAIRS)
    ]
    vectors = torch.randn(len(targets), 16, net.width, generator=generator) * net.scale
    for layout in ("two_sequences", "shared_prefix"):
        losses, margins, gradient = measured(net, modes, vectors, targets, layout)
        for row, pair in enumerate(targets):
            own = vectors[row].clone().requires_grad_()
            with net.library_attention() as network:
                expected, margin = plain_losses(network, modes, own, pair.branches, layout)
            (expected_gradient,) = torch.autograd.grad(sum(expected), own)
            assert np.allclose(losses[row], [loss.item() for loss in expected], rtol=1e-5, atol=0)
            assert float(margins[row]) == pytest.approx(margin, abs=2e-4)  # a difference of two logits near 20
            assert float((gradient[row] - expected_gradient).norm() / expected_gradient.norm()) < 5e-5


@pytest.mark.timeout(1800)  # on a busy machine it takes several times as long
def test_the_gates_close_on_random_weights(smollm2: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(
        "".join(f'{{"question": "{question}", "answer": "{answer}"}}\n' for question, answer in PAIRS[:2])
    )
    settings = {
        "threads": 1,
        "model": {"name": "untrained", "path": str(smollm2)},
        "pairs": {"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")},
        "count": None,
        "vectors": 8,
        "solve": {"steps": 30, "restarts": 1, "positions": 512},
        "stages": ["baselines", "single", "joint"],
    }
    for name, status, steps in (("untrained", "stopped", 30), ("pretrained", "completed", 200)):
        settings["model"]["name"], settings["solve"]["steps"] = name, steps
        result = run_memory(resolve_root(MemoryConfig, settings, Source("memory.yaml", {})), tmp_path / name)
        assert result["status"] == status
        assert all(gate["passed"] == (name == "pretrained") for gate in result["gates"])

"""The training steps that the benchmarks measure."""

from dataclasses import dataclass

TINY = (
    "model={name: decoder, layers: 2, width: 64, heads: 4, ff: 256}",
    "data.context=64",
    "data.stride=64",
)
"""Overrides of the defaults: a model of 0.1 million parameters."""


@dataclass(frozen=True)
class Case:
    """A training step to measure: ours as overrides of the defaults, and the sizes of the straightforward loop's model."""

    title: str
    overrides: tuple[str, ...]
    sizes: dict[str, int]
    """`layers`, `width`, `heads` and `ff` of the plain architecture."""


CASES = {
    "default": Case("the default config", (), {}),
    "modern": Case(
        "a small model in the modern form: rotary positions, RMSNorm, SwiGLU, QK-norm, grouped queries, Muon",
        (
            "model={name: decoder, layers: 4, width: 128, heads: 4, kv_heads: 2, ff: 344, position: rope, norm: rms, "
            "activation: swiglu, qk_norm: true, dropout: 0.0}",
            "data.context=64",
            "episode.batch_size=12",
            "episode.optimizer={name: muon}",
        ),
        {"layers": 4, "width": 128, "heads": 4, "ff": 512},
    ),
    "tiny": Case(
        "a model of 0.1 million parameters, one thread",
        (*TINY, "threads=1"),
        {"layers": 2, "width": 64, "heads": 4, "ff": 256},
    ),
}

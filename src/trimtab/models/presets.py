"""Named sizes of the decoder, from 0.1M to 500M parameters."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_MODERN = {"position": "rope", "norm": "rms", "activation": "swiglu"}
"""The common choices of open models since Llama (Touvron et al. 2023)."""


@dataclass(frozen=True)
class Preset:
    """A named size: the decoder's parameters, and the vocabulary and context for which the name gives the parameter count."""

    vocabulary: int
    context: int
    about: str
    parameters: dict[str, Any] = field(default_factory=dict)


def _size(layers: int, width: int, heads: int, ff: int, **further: Any) -> dict[str, Any]:
    return {"layers": layers, "width": width, "heads": heads, "ff": ff, **further}


PRESETS = MappingProxyType(
    {
        "tiny": Preset(99, 256, "for tests and vectorised sweeps", _size(2, 64, 2, 256)),
        "3m": Preset(99, 256, "the defaults", _size(4, 256, 4, 1024)),
        "10m": Preset(99, 256, "the shape of nanoGPT's character model", _size(6, 384, 6, 1536)),
        "30m": Preset(99, 256, "the largest that trains overnight on a laptop CPU", _size(9, 512, 8, 2048)),
        "100m": Preset(99, 1024, "a deep model with modern choices", _size(14, 768, 12, 2048, **_MODERN)),
        "124m": Preset(50_257, 1024, "the shape of GPT-2 (Radford et al. 2019)", _size(12, 768, 12, 3072, bias=True)),
        "350m": Preset(50_257, 1024, "a deep model with modern choices", _size(24, 1024, 16, 2688, **_MODERN)),
        "500m": Preset(
            50_257,
            1024,
            "grouped queries and QK-norm on top of the modern choices",
            _size(25, 1280, 20, 3456, kv_heads=5, qk_norm=True, **_MODERN),
        ),
    }
)

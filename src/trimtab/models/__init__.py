"""Models: the decoder, its sizes and its sampling; `trimtab.models.pretrained` holds pretrained ones."""

from trimtab.models.completion import Completion, complete, continuation
from trimtab.models.decoder import Decoder
from trimtab.models.presets import PRESETS
from trimtab.models.sampling import generate

__all__ = [
    "PRESETS",
    "Completion",
    "Decoder",
    "complete",
    "continuation",
    "generate",
]

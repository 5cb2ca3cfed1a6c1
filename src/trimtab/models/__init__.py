"""Models: the decoder, its presets and its sampling; `trimtab.models.pretrained` has pretrained models."""

from trimtab.models.completion import Completion, complete, continuation
from trimtab.models.decoder import Decoder
from trimtab.models.outputs import ModelOutput, has_outputs, logits_of
from trimtab.models.presets import PRESETS
from trimtab.models.sampling import generate

__all__ = [
    "PRESETS",
    "Completion",
    "Decoder",
    "ModelOutput",
    "complete",
    "continuation",
    "generate",
    "has_outputs",
    "logits_of",
]

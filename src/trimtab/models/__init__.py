"""Models: the decoder and its presets; `trimtab.models.pretrained` has pretrained models."""

from trimtab.models.decoder import Decoder
from trimtab.models.outputs import ModelOutput, has_outputs, logits_of, reads_last_token
from trimtab.models.presets import PRESETS

__all__ = ["PRESETS", "Decoder", "ModelOutput", "has_outputs", "logits_of", "reads_last_token"]

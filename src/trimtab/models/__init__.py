"""Models: the decoder, its sizes and its sampling."""

from trimtab.models.decoder import Decoder
from trimtab.models.presets import PRESETS, parameter_count
from trimtab.models.sampling import generate

__all__ = ["PRESETS", "Decoder", "generate", "parameter_count"]

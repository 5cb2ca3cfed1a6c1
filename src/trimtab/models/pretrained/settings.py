"""Settings of a model's config that transformers takes without a check and then fails on without naming them."""

from pathlib import Path
from typing import Any

from trimtab.boundary import kind_of, printable, shortened
from trimtab.config.model_folder import entries
from trimtab.config.offline import offline_import
from trimtab.errors import DataError

_ACTIVATIONS = {"hidden_act", "hidden_activation", "activation_function"}
_SIZES = {
    "num_attention_heads",
    "num_key_value_heads",
    "num_heads",
    "n_head",
    "n_heads",
    "hidden_size",
    "n_embd",
    "d_model",
    "vocab_size",
}


def check_settings(config: dict[str, Any], shown: Path) -> None:
    """Refuse an architecture or an activation that is no text or not known, and heads or widths of less than 1.

    Raises DataError, which names the key.
    """
    known = offline_import("transformers.activations").ACT2FN
    for key, value, _ in entries(config):
        if key == "model_type" and not isinstance(value, str):
            wanted = "the name of an architecture"
        elif key in _ACTIVATIONS and value is not None and not (isinstance(value, str) and value in known):
            wanted = "the name of an activation that the installed transformers library knows"
        elif key in _SIZES and isinstance(value, int | float | str) and not _is_size(value):
            wanted = "a whole number of at least 1"
        else:
            continue
        raise DataError(
            f"{shown}: its config has {key}: {_written(value)}, where {wanted} belongs. Mend config.json, or copy it anew."
        )


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _written(value: Any) -> str:
    if isinstance(value, str | int | float):
        return shortened(printable(repr(value)), 60)
    return kind_of(value)

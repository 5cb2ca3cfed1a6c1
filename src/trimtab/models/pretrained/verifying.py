"""Whether the forms in which a trained model is used give the same answers: with additions, merged, written and read again."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from trimtab.models.pretrained.files import model_files
from trimtab.models.pretrained.loading import load_network
from trimtab.models.pretrained.logit_comparison import TOLERANCE, distance, logits_in_fp32
from trimtab.models.pretrained.saving import loaded_adapter, merged_weights, write_adapter, write_network

TOKENS = 64
"""The number of tokens on which the forms are compared."""


@dataclass(frozen=True)
class Form:
    """A form of a model: the largest difference of its logits from those of the trained network, in standard deviations."""

    name: str
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is that of rounding; also False if it is not a number."""
        return self.difference < TOLERANCE


def forms_of(model: Any, folder: Path | None = None) -> Iterator[Form]:
    """Compare the forms of a `Pretrained` with the network that was trained, in fp32 on the same random tokens.

    The forms are the merged model, written to a temporary folder and read again; where only low-rank additions are trained, those
    as peft reads them from an adapter folder; and the model in `folder`, if it is given. A 16-bit run has rounded its frozen
    weights; they are compared as they were trained.
    """
    with tempfile.TemporaryDirectory(prefix="trimtab-verify-") as temporary:
        trained = logits_in_fp32(model.network, TOKENS)

        def form(name: str, network: nn.Module) -> Form:
            return Form(name, distance(logits_in_fp32(network, TOKENS), trained))

        merged = Path(temporary) / "merged"
        merged.mkdir()
        write_network(model.network, merged_weights(model.network), merged)
        yield form("merged, written and read again", load_network(model_files(str(merged))))
        if model.lr_multipliers and all(".lora_" in name for name in model.lr_multipliers) and model.source.is_dir():
            adapter = Path(temporary) / "adapter"
            adapter.mkdir()
            write_adapter(model, adapter)
            yield form("adapter, written and read again", loaded_adapter(model, adapter))
        if folder is not None:
            yield form(str(folder), load_network(model_files(str(folder))))

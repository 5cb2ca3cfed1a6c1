"""Models that begin from weights in files, which checkpoints need not repeat."""

from typing import Protocol, runtime_checkable

import torch


@runtime_checkable
class HasBaseWeights(Protocol):
    """A model that begins from weights in files.

    `fingerprint` is the SHA-256 of these files. A model that has only one of the two members is an ordinary one.
    """

    fingerprint: str

    def unchanged_weights(self) -> frozenset[str]:
        """The names of the parameters that are in the files and that training leaves as they are."""
        ...


def base_fingerprint(model: torch.nn.Module) -> str | None:
    """The fingerprint of the files that a model begins from; None for a model that is initialised at random."""
    return model.fingerprint if isinstance(model, HasBaseWeights) else None

"""Finds out whether a model's parameters were written to by somebody who may only read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trimtab.config import WorkError


class WeightGuard:
    """Watches the parameters and buffers that a model has now.

    A write through torch moves a tensor's version counter, which costs nothing to read. A write through `.data` or numpy
    does not, so the parameters' bits are added up too where that is asked for (once takes some 0.3 ms for 3 million parameters).
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = dict(model.named_parameters())
        self._tensors: dict[str, Tensor] = {**self._parameters, **dict(model.named_buffers())}

    @contextmanager
    def unwritten(self, hooks: Sequence[str], *, bits: bool) -> Iterator[None]:
        """Raise `WorkError` with the names of the `hooks` when a parameter or buffer is written to while this is open."""
        marks, sums = self._marks(), self._sums() if bits else []
        yield
        written = [name for name, a, b in zip(self._tensors, marks, self._marks(), strict=True) if a != b]
        if bits and not written:
            written = [name for name, a, b in zip(self._parameters, sums, self._sums(), strict=True) if a != b]
        if written:
            alone = f"The hook '{hooks[0]}' is an observer, and it"
            who = alone if len(hooks) == 1 else f"One of the observers {', '.join(hooks)}"
            raise WorkError(
                f"{who} wrote to '{written[0]}' of the model. Observers only read: let it work on a copy, or make it a "
                "GradientTransform or a LearningRule, whose kinds may change a run."
            )

    def _marks(self) -> list[tuple[int, int]]:
        return [(tensor._version, tensor.data_ptr()) for tensor in self._tensors.values()]

    def _sums(self) -> list[int]:
        return [int(_words(parameter).sum()) for parameter in self._parameters.values()]


def _words(tensor: Tensor) -> Tensor:
    """The bytes of a tensor as the longest whole numbers that it divides into (their sum may wrap round)."""
    flat = tensor.detach().reshape(-1)
    start, size = flat.storage_offset() * flat.itemsize, flat.numel() * flat.itemsize
    for kind in (torch.int64, torch.int32, torch.int16):
        if start % kind.itemsize == size % kind.itemsize == 0:
            return flat.view(kind)
    return flat.view(torch.uint8)

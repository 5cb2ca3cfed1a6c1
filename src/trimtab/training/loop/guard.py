"""Detects writes to a model's parameters by hooks that may only read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trimtab.config import WorkError


class WeightGuard:
    """Detects writes to the current parameters and buffers of a model.

    A write through torch increments a tensor's version counter, which costs nothing to read. A write through `.data` or numpy
    does not, so with `bits` a checksum of the parameters is compared too (about 0.3 ms per checksum of 3 million parameters).
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = dict(model.named_parameters())
        self._tensors: dict[str, Tensor] = {**self._parameters, **dict(model.named_buffers())}

    @contextmanager
    def unwritten(self, hooks: Sequence[str], *, bits: bool) -> Iterator[None]:
        """A context that raises `WorkError`, naming the `hooks`, if a parameter or buffer is written to within it."""
        versions, sums = self._versions(), self._sums() if bits else []
        yield
        written = [name for name, a, b in zip(self._tensors, versions, self._versions(), strict=True) if a != b]
        if bits and not written:
            written = [name for name, a, b in zip(self._parameters, sums, self._sums(), strict=True) if a != b]
        if written:
            one = f"The hook '{hooks[0]}' is an observer, and it"
            who = one if len(hooks) == 1 else f"One of the observers {', '.join(hooks)}"
            raise WorkError(
                f"{who} wrote to '{written[0]}' of the model. Observers only read: change a copy, or make the hook a "
                "GradientTransform or a LearningRule, which may change a run."
            )

    def _versions(self) -> list[tuple[int, int]]:
        return [(tensor._version, tensor.data_ptr()) for tensor in self._tensors.values()]

    def _sums(self) -> list[int]:
        return [int(_words(parameter).sum()) for parameter in self._parameters.values()]


def _words(tensor: Tensor) -> Tensor:
    """The bytes of a tensor as the longest integers that divide its size. Their sum may overflow, which does no harm."""
    flat = tensor.detach().reshape(-1)
    start, size = flat.storage_offset() * flat.itemsize, flat.numel() * flat.itemsize
    for kind in (torch.int64, torch.int32, torch.int16):
        if start % kind.itemsize == size % kind.itemsize == 0:
            return flat.view(kind)
    return flat.view(torch.uint8)

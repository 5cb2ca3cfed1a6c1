"""Which tensors of a model are in its checkpoints."""

from pathlib import Path

import torch
from torch import nn

from trimtab.runtime.nested import base_fingerprint, named_tensors


class Labelled(nn.Module):
    """An ordinary model with a frozen matrix, a buffer, and an attribute of its own called `fingerprint`."""

    def __init__(self) -> None:
        super().__init__()
        self.trained, self.frozen = nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
        self.norm = nn.BatchNorm1d(2)
        self.fingerprint = 7


def test_an_attribute_called_fingerprint_costs_a_model_none_of_its_tensors() -> None:
    model = Labelled()
    assert named_tensors(model).keys() == model.state_dict().keys()
    assert base_fingerprint(model) is None


class Based(Labelled):
    """The same with base weights in files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.fingerprint = str(folder)

    def unchanged_weights(self) -> frozenset[str]:
        return frozenset(name for name, parameter in self.named_parameters() if not parameter.requires_grad)


def test_weights_in_files_are_left_out_and_buffers_are_not(tmp_path: Path) -> None:
    model = Based(tmp_path)
    assert model.state_dict().keys() - named_tensors(model).keys() == {"frozen.weight", "frozen.bias"}
    assert base_fingerprint(model) == str(tmp_path)


def test_tensors_share_memory_with_the_model() -> None:
    model = Labelled()
    named_tensors(model)["trained.weight"].zero_()
    assert torch.count_nonzero(model.trained.weight) == 0

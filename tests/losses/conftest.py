"""One thread: on tensors as small as these, two threads would spend most of the time waiting for each other."""

import pytest
import torch


@pytest.fixture(autouse=True)
def threads() -> None:
    """One thread instead of the two of the other tests."""
    torch.set_num_threads(1)

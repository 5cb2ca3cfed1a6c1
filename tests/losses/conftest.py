"""One thread: two that wait for each other take most of the time on tensors as small as these."""

import pytest
import torch


@pytest.fixture(autouse=True)
def threads() -> None:
    """In place of the two threads of the other tests."""
    torch.set_num_threads(1)

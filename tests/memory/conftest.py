"""One thread, which small products are fastest in."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(threads: None) -> None:
    torch.set_num_threads(1)

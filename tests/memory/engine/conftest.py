"""Small products gain nothing from a second thread, and lose much where the cores are busy."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(threads: None) -> None:
    torch.set_num_threads(1)

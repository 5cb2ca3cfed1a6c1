"""Fixtures for analyses; they run on one thread, because small products are not faster on two."""

from pathlib import Path

import pytest
import torch

from tests.memory.analysis import made


@pytest.fixture(autouse=True)
def one_thread(threads: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small network, one per session, so that `made.memories` solves its memories once."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(params=["two_sequences", "shared_prefix"])
def network_and_memories(request: pytest.FixtureRequest, folder: Path, one_thread: None):
    """The network and its memories, in each layout."""
    return made.memories(folder, request.param)

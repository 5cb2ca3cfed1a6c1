"""Small products gain nothing from a second thread, and lose much where the cores are busy."""

from pathlib import Path

import pytest
import torch

from tests.memory.analysis import made


@pytest.fixture(autouse=True)
def one_thread(threads: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small network is; what `made.memories` finds for it is found once."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(params=["two_sequences", "shared_prefix"])
def found(request: pytest.FixtureRequest, folder: Path, one_thread: None):
    """The network and its memories, in either layout."""
    return made.memories(folder, request.param)

from pathlib import Path

import pytest

from tests.models.pretrained.folders import KINDS, write


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder for each kind."""
    root = tmp_path_factory.mktemp("pretrained")
    return {kind: write(root / kind, kind) for kind in KINDS}

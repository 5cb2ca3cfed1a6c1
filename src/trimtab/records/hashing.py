"""SHA-256 of weights, files and source code."""

import functools
import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from trimtab.boundary import open_regular
from trimtab.config.canonical import canonical_json

if TYPE_CHECKING:
    from torch import Tensor


class Seal(BaseModel):
    """The length in bytes and the hex SHA-256 of a file, or of its beginning."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str


def seal_of(path: str | Path, length: int | None = None) -> Seal:
    """The seal of a regular file, or of its first `length` bytes (of all of them where it is shorter).

    Raises OSError when it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with open_regular(path) as file:
        while length is None or size < length:
            block = file.read(1 << 20 if length is None else min(1 << 20, length - size))
            if not block:
                break
            digest.update(block)
            size += len(block)
    return Seal(bytes=size, sha256=digest.hexdigest())


def content_sha256(content: Any) -> str:
    """The hex SHA-256 of a JSON value, whatever the order of its keys and its layout."""
    return hashlib.sha256(canonical_json(content).encode("utf-8", "surrogatepass")).hexdigest()


def tensors_sha256(named: Mapping[str, "Tensor"]) -> str:
    """The hex SHA-256 of named tensors, the same on every device and for every memory layout.

    For each tensor in the order of the names: the line `["name", "float32", [2, 3]]` as JSON, a line end, then the
    elements' raw bytes in row-major order. Any dense dtype, bf16 included.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(named):
        tensor = named[name].detach().cpu().resolve_conj().resolve_neg().contiguous()
        header = [name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        digest.update(json.dumps(header).encode() + b"\n")
        flat = tensor.flatten()
        if flat.stride() != (1,):  # a single element is contiguous whatever its stride, but then has no view as bytes
            flat = flat.clone(memory_format=torch.contiguous_format)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_sha256(path: str | Path) -> str:
    """The hex SHA-256 of a file's bytes, read in blocks. Raises OSError when it cannot be read."""
    return seal_of(path).sha256


@functools.cache
def package_source_hash() -> str:
    """The hex SHA-256 over the trimtab package's .py files (relative path, length, bytes), sorted by path.

    Two processes with the same hash run the same Trimtab code; read once a process, at the first call.
    """
    return folder_source_hash(Path(__file__).parents[1])


def folder_source_hash(folder: Path) -> str:
    """The hash that `package_source_hash` documents, over any folder."""
    digest = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    for name in sorted(files):
        data = files[name].read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def source_hash(component: Any) -> str:
    """The hash of the source of a class, a function, or an instance's class: what a manifest says of a user's component.

    It covers the qualified name and the *whole file* that defines it, since a helper in the same file changes what the hook
    does. A definition without a file (a notebook cell) is covered by its own source alone. Where there is no source at
    all (built in, typed into a prompt) the answer is not a hash but the plain text "no-source:<module>:<qualified name>".
    """
    target = inspect.unwrap(component.func if isinstance(component, functools.partial) else component)
    if not (inspect.isclass(target) or inspect.isroutine(target)):
        target = type(target)
    try:
        file = inspect.getsourcefile(target)
        source = Path(file).read_bytes() if file and Path(file).is_file() else inspect.getsource(target).encode()
    except (OSError, TypeError):
        return f"no-source:{target.__module__}:{target.__qualname__}"
    return hashlib.sha256(target.__qualname__.encode() + b"\0" + source).hexdigest()

"""The safetensors files of a model's folder: which there are, and what their headers say."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from trimtab.boundary import (
    StrictJsonError,
    foreign,
    is_plain_name,
    kind_of,
    open_regular,
    printable,
    shortened,
    strict_json,
)
from trimtab.config.model_folder import member, read_member
from trimtab.errors import DataError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
"""Endings of weight files that are unpickled or that transformers alone can convert."""

HEADER_LIMIT = 32 << 20
"""Bytes that the header of one safetensors file may have; that of 100,000 tensors has 12 million."""

_INDEX_LIMIT = 64 << 20
_DTYPES = {"F64": torch.float32, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


@dataclass(frozen=True)
class Stored:
    """What weight files hold: how many numbers in how many tensors, and the type to load them in."""

    numbers: int
    tensors: int
    dtype: torch.dtype


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a folder: the single one, else those that its index names.

    Raises DataError where there is none, where the index names anything but safetensors files in the folder, and for links
    that lead out of it.
    """
    if (single := member(folder, "model.safetensors")) is not None:
        return (single,)
    if (content := read_member(folder, "model.safetensors.index.json", at_most=_INDEX_LIMIT)) is not None:
        return _indexed(folder, content)
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLED:
            raise pickled(path, folder)
    raise DataError(f"{folder} holds no model.safetensors. Copy the model's folder anew.")


def stored_in(weights: Sequence[Path]) -> Stored:
    """What the headers of safetensors files say, without reading the weights.

    Raises DataError for a file that is damaged or cut short, for a tensor that two files hold and for weights that are
    stored in fewer than 16 bits.
    """
    seen: set[str] = set()
    numbers: Counter[str] = Counter()
    for path in weights:
        for name, dtype, count in _header(path):
            if name in seen:
                raise DataError(
                    f"{path} holds the tensor {printable(name)}, which another of the model's files holds too. Copy the model's "
                    "folder anew."
                )
            seen.add(name)
            numbers[dtype] += count
    # Some models keep a few tensors in more precision than the rest.
    dtype = max(numbers, key=lambda kind: numbers[kind], default="F32")
    if dtype not in _DTYPES:
        raise DataError(
            f"{weights[0]}: most weights are stored as {dtype}, which cannot be trained. Use the model's folder in 16 or 32 bits."
        )
    return Stored(sum(numbers.values()), len(seen), _DTYPES[dtype])


def pickled(file: Path, folder: Path) -> DataError:
    """The refusal of a file that is unpickled when it is read."""
    return DataError(
        f"{file} keeps its weights in a form that can run code when it is read, so Trimtab does not open it. Convert it once, "
        f"where you trust the file: python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('{folder}')"
        f".save_pretrained('{folder}-safe')\", then name {folder}-safe."
    )


def _indexed(folder: Path, content: bytes) -> tuple[Path, ...]:
    index = folder / "model.safetensors.index.json"
    try:
        whole = strict_json(content)
    except StrictJsonError as error:
        raise _no_index(index, str(error)) from error
    named = whole.get("weight_map") if isinstance(whole, dict) else None
    if not isinstance(named, dict) or not named:
        raise _no_index(index, "it has no `weight_map`, an object that names the file of each tensor")
    for name in named.values():
        if not isinstance(name, str):
            raise _no_index(index, f"its `weight_map` has {kind_of(name)} where the name of a file is needed")
    names = sorted(set(named.values()))
    for name in names:
        if name.endswith(PICKLED):
            raise pickled(folder / Path(name).name, folder)
        if not is_plain_name(name) or not name.endswith(".safetensors"):
            raise DataError(
                f"{index} names the file '{shortened(printable(name), 100)}'. Only *.safetensors files inside the folder are "
                "read: copy the model's folder anew."
            )
    paths = {name: member(folder, name) for name in names}
    if missing := [name for name, path in paths.items() if path is None]:
        more = f" and {len(missing) - 3} others" if len(missing) > 3 else ""
        raise DataError(
            f"{folder} lacks {printable(', '.join(missing[:3]))}{more}, which its index names. Copy the folder anew."
        )
    return tuple(path for path in paths.values() if path is not None)


def _no_index(index: Path, reason: str) -> DataError:
    return DataError(f"{index} is no index of weight files: {reason}. Copy the model's folder anew.")


def _header(path: Path) -> list[tuple[str, str, int]]:
    """The name, the stored type and the size of every tensor of a file."""
    damaged = f"{path} is damaged or was cut short"
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Copy the file anew.") from error
    if length > HEADER_LIMIT:
        raise DataError(f"{damaged} (its header has {length:,} bytes). Copy the file anew.")
    with foreign(DataError, lambda reason: f"{damaged} ({reason}). Copy the file anew."), safe_open(path, "pt") as file:
        slices = [(name, file.get_slice(name)) for name in file.keys()]  # noqa: SIM118 - no mapping
        return [(name, str(part.get_dtype()), math.prod(part.get_shape())) for name, part in slices]

"""The safetensors files of a model's folder, and the sizes and types in their headers."""

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
    json_type_name,
    open_regular,
    printable,
    shortened,
    strict_json,
)
from trimtab.config.model_folder import member, read_member
from trimtab.errors import DataError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
"""Suffixes of weight files that need unpickling, or that only transformers can convert."""

HEADER_LIMIT = 32 << 20
"""The most bytes in the header of a safetensors file; with 100,000 tensors it has 12 million."""

_INDEX_LIMIT = 64 << 20
_DTYPES = {"F64": torch.float32, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


@dataclass(frozen=True)
class Stored:
    """The content of weight files: how many numbers in how many tensors, and the type to load them in."""

    numbers: int
    tensors: int
    dtype: torch.dtype


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a folder: the single one, else those that its index names.

    Raises DataError if there is none, if the index names anything but safetensors files in the folder, and for links out of the
    folder.
    """
    if (single := member(folder, "model.safetensors")) is not None:
        return (single,)
    if (content := read_member(folder, "model.safetensors.index.json", at_most=_INDEX_LIMIT)) is not None:
        return _indexed(folder, content)
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLED:
            raise pickled(path, folder)
    raise DataError(f"{folder} contains no model.safetensors. Copy the model's folder again.")


def stored_in(weights: Sequence[Path]) -> Stored:
    """Sizes and type from the headers of safetensors files, without reading the weights.

    Raises DataError for a damaged or truncated file, for a tensor that is in two files, and for weights with less than 16 bits.
    """
    seen: set[str] = set()
    numbers: Counter[str] = Counter()
    for path in weights:
        for name, dtype, count in _header(path):
            if name in seen:
                raise DataError(
                    f"{path} contains the tensor {printable(name)}, which is also in another of the model's files. Copy the "
                    "model's folder again."
                )
            seen.add(name)
            numbers[dtype] += count
    # Some models store a few tensors in higher precision than the rest.
    dtype = max(numbers, key=lambda kind: numbers[kind], default="F32")
    if dtype not in _DTYPES:
        raise DataError(
            f"{weights[0]}: most weights are stored as {dtype}, which cannot be trained. Use the model's folder in 16 or 32 bits."
        )
    return Stored(sum(numbers.values()), len(seen), _DTYPES[dtype])


def pickled(file: Path, folder: Path) -> DataError:
    """The error for a weight file whose format can run code."""
    return DataError(
        f"{file} has a format that can run code when it is read, so Trimtab does not open it. If you trust the file, convert "
        f"it once: python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('{folder}')"
        f".save_pretrained('{folder}-safe')\", then name {folder}-safe."
    )


def _indexed(folder: Path, content: bytes) -> tuple[Path, ...]:
    index = folder / "model.safetensors.index.json"
    try:
        whole = strict_json(content)
    except StrictJsonError as error:
        raise _invalid_index(index, str(error)) from error
    weight_map = whole.get("weight_map") if isinstance(whole, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise _invalid_index(index, "it has no `weight_map` (an object with the file of each tensor)")
    for name in weight_map.values():
        if not isinstance(name, str):
            raise _invalid_index(
                index, f"its `weight_map` has {json_type_name(name)} where the name of a file is needed"
            )
    names = sorted(set(weight_map.values()))
    for name in names:
        if name.endswith(PICKLED):
            raise pickled(folder / Path(name).name, folder)
        if not is_plain_name(name) or not name.endswith(".safetensors"):
            raise DataError(
                f"{index} names the file '{shortened(printable(name), 100)}'. Only *.safetensors files inside the folder are "
                "read: copy the model's folder again."
            )
    paths = {name: member(folder, name) for name in names}
    if missing := [name for name, path in paths.items() if path is None]:
        more = f" and {len(missing) - 3} others" if len(missing) > 3 else ""
        raise DataError(
            f"{folder} does not contain {printable(', '.join(missing[:3]))}{more}, which its index names. Copy the folder again."
        )
    return tuple(path for path in paths.values() if path is not None)


def _invalid_index(index: Path, reason: str) -> DataError:
    return DataError(f"{index} is not a valid index of weight files: {reason}. Copy the model's folder again.")


def _header(path: Path) -> list[tuple[str, str, int]]:
    """The name, the stored type and the size of every tensor of a file."""
    damaged = f"{path} is damaged or truncated"
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Copy the file again.") from error
    if length > HEADER_LIMIT:
        raise DataError(f"{damaged} (its header has {length:,} bytes). Copy the file again.")
    with (
        foreign(DataError, lambda reason: f"{damaged} ({reason}). Copy the file again."),
        safe_open(path, "pt") as file,
    ):
        slices = [(name, file.get_slice(name)) for name in file.keys()]  # noqa: SIM118 - no mapping
        return [(name, str(part.get_dtype()), math.prod(part.get_shape())) for name, part in slices]

"""The files of a pretrained model: looked at before anything is loaded, and hashed."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from trimtab.config.model_paths import cache_folder
from trimtab.config.offline import local_folder
from trimtab.errors import DataError
from trimtab.records.atomic import write_json
from trimtab.records.hashing import file_sha256

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
"""Endings of weight files that are unpickled or that transformers alone can convert."""

_VOLATILE = {"transformers_version", "_name_or_path", "_model_name_or_path", "torch_dtype", "dtype"}
"""Keys of a config.json that say how a folder was written, not what the model is."""


@dataclass(frozen=True)
class ModelFiles:
    """A model folder with a config and safetensors weights, or (`gguf` is its name) a GGUF file in a folder."""

    folder: Path
    gguf: str | None
    weights: tuple[Path, ...]
    config: dict[str, Any]

    @property
    def shown(self) -> Path:
        """The path to name to a person."""
        return self.folder if self.gguf is None else self.folder / self.gguf

    @property
    def size(self) -> int:
        """Bytes of all weight files."""
        return sum(path.stat().st_size for path in self.weights)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the weight files' bytes and what the config says of the model.

        Large files are read once: the hash of a file is remembered for as long as its size, times and inode stay.
        """
        digest = hashlib.sha256(b"trimtab pretrained 1\n")
        said = {key: value for key, value in self.config.items() if key not in _VOLATILE}
        digest.update(json.dumps(said, sort_keys=True).encode() + b"\n")
        for path in self.weights:
            digest.update(f"{path.name} {_remembered_sha256(path)}\n".encode())
        return digest.hexdigest()


def model_files(path: str) -> ModelFiles:
    """What stands at a `path` of a config.

    Raises DataError for what is not there, holds no safetensors weights, brings Python code of its own or is quantised in
    a way that cannot be trained; the message says what to do.
    """
    found = local_folder(path)
    if found.is_file():
        if found.suffix == ".gguf":
            return ModelFiles(found.parent, found.name, (found,), {})
        if found.suffix in PICKLED:
            raise _pickled(found, found.parent)
        raise DataError(
            f"{found} is no model: name the folder of a model with config.json and *.safetensors files, or a .gguf file."
        )
    if not found.is_dir():
        raise DataError(
            f"There is no model in {found}. `trimtab models list` shows the imported ones; `trimtab models import "
            "smollm2-135m` makes one."
        )
    config = _config(found)
    return ModelFiles(found, None, _weights(found), config)


def stored_numbers(weights: Path) -> int:
    """How many numbers a safetensors file holds, from its header. Raises DataError for a file that is damaged or cut short."""
    try:
        with safe_open(weights, "pt") as file:
            names = file.keys()
            return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    except SafetensorError as error:
        raise DataError(f"{weights} is damaged or was cut short ({error}). Copy the file anew.") from error


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.exists():
        if (folder / "adapter_config.json").exists():
            raise DataError(
                f"{folder} holds an adapter without its model. Merge it into the model first (peft's merge_and_unload), or "
                "name the model's folder."
            )
        if ggufs := sorted(folder.glob("*.gguf")):
            raise DataError(f"{folder} holds no config.json. To use a GGUF file, name the file itself: {ggufs[0]}.")
        raise DataError(f"{folder} holds no config.json, so it is no model's folder. Name a folder that has one.")
    try:
        config = json.loads(file.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file} is not JSON: {error}. Copy the model's folder anew.") from error
    if not isinstance(config, dict):
        raise DataError(f"{file} holds no mapping, so it is no model's config. Copy the model's folder anew.")
    if "auto_map" in config:
        raise DataError(
            f"{file} asks for Python code that comes with the model (`auto_map`), and Trimtab runs no such code. Use a model "
            "whose architecture is a part of the transformers library."
        )
    if quantized := config.get("quantization_config"):
        kind = quantized.get("quant_method", "unknown") if isinstance(quantized, dict) else "unknown"
        raise DataError(
            f"{file}: the weights are quantised ({kind}), which cannot be trained. Use the model's unquantised folder, or a "
            "GGUF file, which is dequantised when it is read."
        )
    return config


def _weights(folder: Path) -> tuple[Path, ...]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return (single,)
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{index} is no index of weight files. Copy the model's folder anew.") from error
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise DataError(f"{folder} lacks {', '.join(missing)}, which its index names. Copy the folder anew.")
        return tuple(folder / name for name in names)
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLED:
            raise _pickled(path, folder)
    raise DataError(f"{folder} holds no model.safetensors. Copy the model's folder anew.")


def _pickled(file: Path, folder: Path) -> DataError:
    return DataError(
        f"{file} keeps its weights in a form that can run code when it is read, so Trimtab does not open it. Convert it once, "
        f"where you trust the file: python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('{folder}')"
        f".save_pretrained('{folder}-safe')\", then name {folder}-safe."
    )


def _remembered_sha256(path: Path) -> str:
    state = path.stat()
    key = [str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    memo = cache_folder() / "fingerprints" / f"{name}.json"
    if memo.exists():
        try:
            return str(json.loads(memo.read_bytes())["sha256"])
        except (ValueError, KeyError, TypeError):
            pass  # a damaged memo is written anew
    digest = file_sha256(path)
    memo.parent.mkdir(parents=True, exist_ok=True)
    write_json(memo, {"file": key[0], "sha256": digest})
    return digest

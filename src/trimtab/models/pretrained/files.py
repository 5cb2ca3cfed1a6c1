"""The files of a pretrained model: looked at before anything is loaded, and hashed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from trimtab.boundary import printable
from trimtab.config.model_folder import entries, member, read_mapping
from trimtab.config.model_paths import cache_folder
from trimtab.config.offline import local_folder
from trimtab.errors import DataError, WorkError
from trimtab.models.pretrained.weights import PICKLED, pickled, weight_files
from trimtab.records.atomic import write_json
from trimtab.records.hashing import file_sha256

_NO_PART_OF_THE_MODEL = {
    # how the folder was written
    *("transformers_version", "_name_or_path", "_model_name_or_path", "name_or_path", "torch_dtype", "dtype"),
    # what this program chooses itself: how attention and experts are computed, and what a forward pass returns
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("return_dict", "use_return_dict", "output_attentions", "output_hidden_states", "torchscript"),
    # classification heads and pipelines
    *("num_labels", "id2label", "label2id", "problem_type", "custom_pipelines", "task_specific_params"),
}
"""Keys of a config.json, at any depth, that never reach the transformers library and are left out of the fingerprint."""

_REFUSED = {
    "auto_map": "asks for Python code that comes with the model (`auto_map`), and Trimtab runs no such code. Use a model whose "
    "architecture is a part of the transformers library.",
    "configuration_files": "names other config files (`configuration_files`), which Trimtab does not read. Write the one that "
    "applies to config.json.",
    "transformers_weights": "names its weight files itself (`transformers_weights`), which Trimtab does not follow. Name them "
    "model.safetensors, or in model.safetensors.index.json, and remove the key.",
    "fusion_config": "asks for other modules than those of the model (`fusion_config`), which changes its outputs. Remove "
    "the key.",
    "kernel_config": "asks for kernels from the Hugging Face hub (`kernel_config`), which Trimtab does not load. Remove the key.",
}


@dataclass(frozen=True)
class ModelFiles:
    """A model folder with a config and safetensors weights, or (`gguf` is its name) a GGUF file in a folder.

    `config` is what config.json says of the model; loading uses it and the weights, and nothing else of the folder.
    """

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
        digest.update(json.dumps(self.config, sort_keys=True).encode() + b"\n")
        for path in self.weights:
            digest.update(f"{path.name} {_remembered_sha256(path)}\n".encode())
        return digest.hexdigest()


def model_files(path: str) -> ModelFiles:
    """The model at a `path` of a config.

    Raises DataError for what is not there, holds no safetensors weights, brings Python code or an adapter, reaches out of its
    folder or is quantised in a way that cannot be trained; the message says what to do.
    """
    found = local_folder(path)
    if found.is_file():
        if found.suffix == ".gguf":
            return ModelFiles(found.parent, found.name, (found,), {})
        if found.suffix in PICKLED:
            raise pickled(found, found.parent)
        raise DataError(
            f"{found} is no model: name the folder of a model with config.json and *.safetensors files, or a .gguf file."
        )
    if not found.is_dir():
        raise DataError(
            f"There is no model in {found}. `trimtab models list` shows the imported ones; `trimtab models import "
            "smollm2-135m` makes one."
        )
    config = _config(found)
    return ModelFiles(found, None, weight_files(found), config)


@contextmanager
def folder_to_load(files: ModelFiles) -> Iterator[Path]:
    """A folder for transformers to load `files` from, for as long as the block runs. Raises WorkError when it cannot be made."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="trimtab-", ignore_cleanup_errors=True)
    except OSError as error:
        raise WorkError(f"No temporary folder can be made: {error.strerror}. Free some space there.") from error
    with temporary as name:
        folder = Path(name)
        if files.gguf is not None:
            (folder / files.gguf).symlink_to(os.path.realpath(files.weights[0]))
        else:
            (folder / "config.json").write_text(json.dumps(files.config))
            _link_weights(files.weights, folder)
        yield folder


def _link_weights(weights: tuple[Path, ...], folder: Path) -> None:
    if len(weights) == 1:
        (folder / "model.safetensors").symlink_to(os.path.realpath(weights[0]))
        return
    places: dict[str, str] = {}
    for number, path in enumerate(weights):
        name = f"model-{number:05d}.safetensors"
        (folder / name).symlink_to(os.path.realpath(path))
        with safe_open(path, "pt") as file:
            places.update(dict.fromkeys(file.keys(), name))
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    config, adapter = read_mapping(folder, "config.json"), member(folder, "adapter_config.json")
    if config is None:
        if adapter is not None:
            raise DataError(
                f"{folder} holds an adapter without its model. Merge it into the model first (peft's merge_and_unload), or "
                "name the model's folder."
            )
        if ggufs := sorted(folder.glob("*.gguf")):
            raise DataError(f"{folder} holds no config.json. To use a GGUF file, name the file itself: {ggufs[0]}.")
        raise DataError(f"{folder} holds no config.json, so it is no model's folder. Name a folder that has one.")
    if adapter is not None:
        raise DataError(
            f"{adapter} describes an adapter beside the model's own weights, and Trimtab does not apply it. Merge it into the "
            "model first (peft's merge_and_unload and save_pretrained), or move the adapter's files out of the folder."
        )
    for key, value, _ in entries(config):
        if key in _REFUSED:
            raise DataError(f"{file} {_REFUSED[key]}")
        if key in ("quantization_config", "compression_config") and value:
            kind = value.get("quant_method", "unknown") if isinstance(value, dict) else "unknown"
            raise DataError(
                f"{file}: the weights are quantised ({printable(kind)}), which cannot be trained. Use the model's unquantised "
                "folder, or a GGUF file, which is dequantised when it is read."
            )
    model: dict[str, Any] = _part_of_the_model(config)
    return model


def _part_of_the_model(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _part_of_the_model(value) for key, value in content.items() if key not in _NO_PART_OF_THE_MODEL}
    if isinstance(content, list):
        return [_part_of_the_model(value) for value in content]
    return content


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
    with suppress(OSError, WorkError):  # where the cache cannot be written, the file is read again the next time
        memo.parent.mkdir(parents=True, exist_ok=True)
        write_json(memo, {"file": key[0], "sha256": digest})
    return digest

"""The files of a pretrained model: checks them before loading, hashes them, and links them into a folder for transformers."""

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

_IGNORED_KEYS = {
    # how the folder was written
    *("transformers_version", "_name_or_path", "_model_name_or_path", "name_or_path", "torch_dtype", "dtype"),
    # what Trimtab sets itself: how attention and experts are computed, and what a forward pass returns
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("return_dict", "use_return_dict", "output_attentions", "output_hidden_states", "torchscript"),
    # classification heads and pipelines
    *("num_labels", "id2label", "label2id", "problem_type", "custom_pipelines", "task_specific_params"),
}
"""Keys of config.json, at any depth, that are not passed to transformers and are not part of the fingerprint."""

_REFUSED = {
    "auto_map": "asks for Python code that comes with the model (`auto_map`), but Trimtab runs no such code. Use a model whose "
    "architecture is part of the transformers library.",
    "configuration_files": "names other config files (`configuration_files`), which Trimtab does not read. Copy the one that "
    "applies to config.json.",
    "transformers_weights": "names its weight files itself (`transformers_weights`), which Trimtab ignores. Name them "
    "model.safetensors, or list them in model.safetensors.index.json, and remove the key.",
    "fusion_config": "asks for modules other than the model's own (`fusion_config`), which changes its outputs. Remove "
    "the key.",
    "kernel_config": "asks for kernels from the Hugging Face hub (`kernel_config`), which Trimtab does not load. Remove the key.",
}


@dataclass(frozen=True)
class ModelFiles:
    """A model folder with a config and safetensors weights, or a folder and the name of a GGUF file in it (`gguf`).

    `config` is config.json without ignored keys, and empty for GGUF. Loading uses it and the weights, and nothing else from the
    folder.
    """

    folder: Path
    gguf: str | None
    weights: tuple[Path, ...]
    config: dict[str, Any]

    @property
    def shown(self) -> Path:
        """The path to show in messages."""
        return self.folder if self.gguf is None else self.folder / self.gguf

    @property
    def size(self) -> int:
        """Bytes of all weight files."""
        return sum(path.stat().st_size for path in self.weights)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over `config` and each weight file's name and content hash.

        The hash of each file is cached for as long as the file's size, times and inode do not change.
        """
        digest = hashlib.sha256(b"trimtab pretrained 1\n")
        digest.update(json.dumps(self.config, sort_keys=True).encode() + b"\n")
        for path in self.weights:
            digest.update(f"{path.name} {_cached_sha256(path)}\n".encode())
        return digest.hexdigest()


def model_files(path: str) -> ModelFiles:
    """The model at a config's `path`.

    Raises DataError if there is none, or if it has no safetensors weights, comes with Python code or an adapter, refers to files
    outside its folder, or is quantised in a way that cannot be trained.
    """
    place = local_folder(path)
    if place.is_file():
        if place.suffix == ".gguf":
            return ModelFiles(place.parent, place.name, (place,), {})
        if place.suffix in PICKLED:
            raise pickled(place, place.parent)
        raise DataError(
            f"{place} is not a model: name the folder of a model with config.json and *.safetensors files, or a .gguf file."
        )
    if not place.is_dir():
        raise DataError(
            f"There is no model in {place}. `trimtab models list` shows the imported models; `trimtab models import "
            "smollm2-135m` imports one."
        )
    config = _config(place)
    return ModelFiles(place, None, weight_files(place), config)


@contextmanager
def folder_to_load(files: ModelFiles) -> Iterator[Path]:
    """A temporary folder from which transformers loads `files`: the checked config, and links to the weights.

    transformers looks for a dozen other files in a model's folder, among them an adapter and Python code. Here it finds none, so
    only what the fingerprint covers decides the model. Raises WorkError if the folder cannot be made.
    """
    try:
        temporary = tempfile.TemporaryDirectory(prefix="trimtab-", ignore_cleanup_errors=True)
    except OSError as error:
        raise WorkError(
            f"Cannot create a temporary folder: {error.strerror}. Free space on its disk, or set TMPDIR to another folder."
        ) from error
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
                f"{folder} contains an adapter without its model. Merge it into the model first (peft's merge_and_unload), or "
                "name the model's folder."
            )
        if ggufs := sorted(folder.glob("*.gguf")):
            raise DataError(f"{folder} contains no config.json. To use a GGUF file, name the file itself: {ggufs[0]}.")
        raise DataError(f"{folder} contains no config.json, so it is not a model's folder. Name a folder that has one.")
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
                "folder, or a GGUF file, which is dequantised on loading."
            )
    used: dict[str, Any] = _without_ignored(config)
    return used


def _without_ignored(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_ignored(value) for key, value in content.items() if key not in _IGNORED_KEYS}
    if isinstance(content, list):
        return [_without_ignored(value) for value in content]
    return content


def _cached_sha256(path: Path) -> str:
    state = path.stat()
    key = [str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    cached = cache_folder() / "fingerprints" / f"{name}.json"
    if cached.exists():
        try:
            return str(json.loads(cached.read_bytes())["sha256"])
        except (ValueError, KeyError, TypeError):
            pass  # a damaged cache file is written again
    digest = file_sha256(path)
    with suppress(OSError, WorkError):  # if the cache cannot be written, the file is hashed again the next time
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_json(cached, {"file": key[0], "sha256": digest})
    return digest

"""Importing models: dequantise a GGUF file once into a folder with safetensors, and list such folders."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.boundary import foreign, user_path
from trimtab.config.model_folder import read_mapping
from trimtab.config.model_paths import imported_models
from trimtab.config.offline import offline_import
from trimtab.errors import ConfigError, DataError, WorkError
from trimtab.models.pretrained.files import ModelFiles, model_files
from trimtab.models.pretrained.gguf_tokenizer import gguf_tokenizer
from trimtab.models.pretrained.loading import load_network
from trimtab.models.pretrained.properties import probed, remember
from trimtab.models.pretrained.saving import check_written, merged_weights, write_network
from trimtab.models.pretrained.weights import stored_in
from trimtab.records.atomic import atomic_directory, write_json
from trimtab.records.hashing import file_sha256

CARD = "trimtab.json"
"""The file in an imported model's folder that says where it came from."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ImportedModel:
    """The folder of an imported model. `size` is in bytes; `parameters` counts a tied matrix once."""

    name: str
    path: str
    parameters: int
    size: int
    fingerprint: str
    source: str
    licence: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class UnusableModel:
    """A folder among the imported models that cannot be used, and why."""

    name: str
    path: str
    reason: str


def target_folder(name: str, out: str | Path | None = None) -> Path:
    """The folder to import a model into: `out`, else the one of its name among the imported models.

    Raises ConfigError for an invalid name and for a folder that exists.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"'{name}' is not a valid name for a model: use letters, digits, dots, dashes and underscores."
        )
    target = imported_models() / name if out is None else user_path(out)
    if target.exists():
        raise ConfigError(f"{target} exists already. Remove it to import the model again, or choose another --out.")
    return target


def import_gguf(file: Path, target: Path, *, source: str | None = None, licence: str | None = None) -> ImportedModel:
    """Dequantise a GGUF file into fp32 safetensors in the new folder `target`, with its config and tokenizer.

    Raises ConfigError without the extra or for a model that lacks a required property (see `properties`), DataError for a file
    that is not such a model, and WorkError if the disk write fails or the written model gives other logits.
    """
    if file.suffix != ".gguf" or not file.is_file():
        raise DataError(f"{file} is not a .gguf file. Name a GGUF file, or a model that Trimtab knows by name.")
    network: Any = load_network(ModelFiles(file.parent, file.name, (file,), {}))
    with foreign(
        DataError, lambda reason: f"{file}: its tokenizer cannot be read: {reason}. Use the model's own folder instead."
    ):
        tokenizer, note = gguf_tokenizer(file)
    probe_result = probed(network, file)
    card = {
        "source": source or file.name,
        "sha256": file_sha256(file),
        "licence": licence,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "notes": [] if note is None else [note],
        "transformers": offline_import("transformers").__version__,
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(
            f"The folder {target.parent} cannot be made: {error.strerror}. Choose another --out."
        ) from error
    with atomic_directory(target) as folder:
        write_network(network, merged_weights(network), folder)
        tokenizer.save_pretrained(folder)
        _tidy(folder / "tokenizer_config.json")
        write_json(folder / CARD, card)
        check_written(network, load_network(model_files(str(folder))), target)
    imported = describe(target)
    remember(network, imported.fingerprint, probe_result)
    return imported


def describe(folder: Path) -> ImportedModel:
    """The description of a model's folder. Raises DataError if it holds no usable model."""
    files = model_files(str(folder))
    card = _card(folder)
    return ImportedModel(
        name=folder.name,
        path=str(folder),
        parameters=int(card.get("parameters") or stored_in(files.weights).numbers),
        size=files.size,
        fingerprint=files.fingerprint(),
        source=str(card.get("source", "")),
        licence=card.get("licence"),
        notes=tuple(map(str, card.get("notes", ()))),
    )


def list_models() -> list[ImportedModel | UnusableModel]:
    """The imported models of this user, sorted by name, including unusable ones with the reason."""
    root = imported_models()
    folders = sorted(path for path in root.iterdir() if (path / "config.json").exists()) if root.is_dir() else []
    return [_describe_or_reason(folder) for folder in folders if not folder.name.startswith(".")]


def _describe_or_reason(folder: Path) -> ImportedModel | UnusableModel:
    try:
        return describe(folder)
    except (DataError, OSError) as error:
        return UnusableModel(folder.name, str(folder), str(error))


def _card(folder: Path) -> dict[str, Any]:
    """The card of an imported model; empty if the folder was copied by hand."""
    card = read_mapping(folder, CARD) or {}
    kinds = {"parameters": int, "source": str, "licence": str | None, "notes": list}
    for key, kind in kinds.items():
        if key in card and not isinstance(card[key], kind):
            raise DataError(
                f"{folder / CARD}: the value of '{key}' is of the wrong type. Remove the folder and import the model again."
            )
    return card


def _tidy(file: Path) -> None:
    """Remove from a tokenizer's config how it was loaded here."""
    content = json.loads(file.read_bytes())
    for key in ("is_local", "local_files_only", "gguf_file", "name_or_path"):
        content.pop(key, None)
    write_json(file, content)

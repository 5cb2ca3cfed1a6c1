"""Checks before anything is loaded: every refusal says why and what to do."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from tests.models.pretrained.folders import edit, load, write
from trimtab.config import DataError
from trimtab.models.pretrained.files import model_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", "llama")


def test_pickled_weights_are_refused_without_opening_them(folder: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return Path.touch, (folder / "opened",)

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    for path in (folder, folder / "pytorch_model.bin"):
        with pytest.raises(DataError, match=r"can run code.*save_pretrained\('.*-safe'\)"):
            load(path)
    assert not (folder / "opened").exists()
    for name in ("model.pt", "last.ckpt"):
        (folder / "pytorch_model.bin").rename(folder / name)
        with pytest.raises(DataError, match="can run code"):
            load(folder)
        (folder / name).rename(folder / "pytorch_model.bin")


def test_pickled_weights_beside_safetensors_are_ignored(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")
    load(folder)


def test_a_model_with_its_own_code_is_refused(folder: Path) -> None:
    edit(folder, auto_map={"AutoModelForCausalLM": "modeling.Mine"})
    (folder / "modeling.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    with pytest.raises(DataError, match=r"config.json asks for Python code .*auto_map"):
        load(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: edit(f, quantization_config={"quant_method": "bitsandbytes"}), r"quantised \(bitsandbytes\)"),
        (
            lambda f: edit(f, model_type="no_such_model"),
            r"cannot be loaded as a language model: .*[^.]\. Use the folder",
        ),
        (lambda f: edit(f, num_hidden_layers=4), "do not fit its config: missing keys .*layers.3"),
        (lambda f: edit(f, num_hidden_layers=2), "do not fit its config: unexpected keys .*layers.2"),
        (lambda f: edit(f, hidden_size=64), "fit its config|cannot be loaded"),
        (lambda f: (f / "config.json").write_text("{"), "config.json cannot be read as JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "holds no mapping"),
        (lambda f: (f / "config.json").unlink(), "contains no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "contains no model.safetensors"),
        (
            lambda f: (f / "model.safetensors").write_bytes(b"\x08"),
            r"model.safetensors is damaged or truncated \(.*\)\. Copy the file again\.$",
        ),
        (lambda f: (f / "config.json").rename(f / "adapter_config.json"), "an adapter without its model"),
    ],
)
def test_an_unusable_folder_is_refused_with_the_reason(folder: Path, change, message: str) -> None:
    change(folder)
    with pytest.raises(DataError, match=message) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=r"does not contain model-00002-of-00002.safetensors, which its index names"):
        load(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(DataError, match="is not a valid index of weight files"):
        load(folder)


def test_paths_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no model in .*trimtab models list"):
        load(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="is not a model: name the folder"):
        load(tmp_path / "notes.txt")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(DataError, match="To use a GGUF file, name the file itself"):
        load(tmp_path)


def test_the_fingerprint_depends_on_weights_and_used_config_keys_only(folder: Path, tmp_path: Path) -> None:
    first = model_files(str(folder)).fingerprint()
    assert first == model_files(str(folder)).fingerprint() == load(folder).fingerprint
    assert model_files(str(write(tmp_path / "copy", "llama"))).fingerprint() == first
    edit(folder, transformers_version="9.9")
    assert model_files(str(folder)).fingerprint() == first
    edit(folder, rms_norm_eps=1e-3)
    assert model_files(str(folder)).fingerprint() != first
    assert model_files(str(write(tmp_path / "other", "llama", seed=1))).fingerprint() != first
    assert model_files(str(write(tmp_path / "half", "llama", dtype=torch.bfloat16))).fingerprint() != first


def test_the_fingerprint_changes_with_the_file(folder: Path) -> None:
    first = model_files(str(folder)).fingerprint()
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert model_files(str(folder)).fingerprint() != first


def test_an_unwritable_cache_is_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = model_files(str(folder)).fingerprint()
    (folder.parent / "file").write_text("no folder")
    monkeypatch.setenv("TRIMTAB_CACHE", str(folder.parent / "file" / "cache"))
    assert model_files(str(folder)).fingerprint() == first

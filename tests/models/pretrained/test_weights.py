"""Weight files: only safetensors inside the folder, with a header of bounded size, are read."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.pretrained.folders import ids, load, write
from trimtab.config import DataError
from trimtab.models.pretrained.weights import stored_in

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", "llama")


def shard(folder: Path, *names: str) -> None:
    """Split the weights into files of these names, with their index."""
    weights = load_file(folder / "model.safetensors")
    keys = sorted(weights)
    parts = {name: keys[number :: len(names)] for number, name in enumerate(names)}
    for name, own in parts.items():
        save_file({key: weights[key] for key in own}, folder / name, metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {key: name for name, own in parts.items() for key in own}}))


def test_shards_with_any_plain_names_are_loaded(folder: Path) -> None:
    whole = load(folder).eval()
    shard(folder, "model-00001-of-00002.safetensors", "rest.safetensors")
    assert torch.equal(load(folder).eval()(ids()), whole(ids()))


@pytest.mark.parametrize("name", ["../outside.safetensors", "sub/inside.safetensors", "model.gguf", ".", ""])
def test_an_index_may_only_name_safetensors_files_in_the_folder(name: str, folder: Path) -> None:
    (folder.parent / "outside.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "sub").mkdir()
    (folder / "sub" / "inside.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    keys = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(keys, name)}))
    with pytest.raises(DataError, match=r"index.json names the file .*Only \*.safetensors files inside the folder"):
        load(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "../pytorch_model.bin", "model.pt"])
def test_a_pickle_named_by_an_index_is_not_opened(name: str, folder: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return Path.touch, (folder / "opened",)

    keys = list(load_file(folder / "model.safetensors"))
    (folder / name).write_bytes(pickle.dumps(Bomb()))
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(keys, name)}))
    with pytest.raises(DataError, match="can run code"):
        load(folder)
    assert not (folder / "opened").exists()


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        *((index, "it has no `weight_map`") for index in ("{}", "[1]", "7", "null")),
        *((f'{{"weight_map": {value}}}', "it has no `weight_map`") for value in ("7", "[1]", "null", "{}")),
        ('{"weight_map": {"a": [1]}}', "its `weight_map` has a list where the name of a file is needed"),
        ('{"weight_map": {"a": 7}}', "its `weight_map` has a number where the name of a file is needed"),
        ('{"weight_map": {"a": {"a": 1}}}', "its `weight_map` has an object where the name of a file is needed"),
        ('{"weight_map": {"a": null}}', "its `weight_map` has null where the name of a file is needed"),
        ('{"weight_map": {"a": "x", "a": "y"}}', "an object in it has the key 'a' twice"),
        ("{" + '"a":{' * 2000, "it is "),
    ],
)
def test_an_invalid_index_is_refused_with_the_reason(index: str, reason: str, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(index)
    with pytest.raises(DataError, match=f"is not a valid index of weight files: {reason}"):
        load(folder)


def test_weights_behind_a_link_out_of_the_folder_are_not_read(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to("../outside.safetensors")
    with pytest.raises(DataError, match="outside the model's folder"):
        load(folder)
    (folder / "model.safetensors").unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "a.safetensors"}}))
    (folder / "a.safetensors").symlink_to(outside)
    with pytest.raises(DataError, match="outside the model's folder"):
        load(folder)


def test_a_tensor_in_two_files_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "b.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    (folder / INDEX).write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    with pytest.raises(DataError, match="which is also in another of the model's files"):
        load(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (33 << 20).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (62).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9,9],"data_offsets":[0,324]}}   ',
    ],
)
def test_a_damaged_or_too_long_header_is_refused(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged or truncated \(.*\)\. Copy the file again\.$"):
        load(folder)


def test_the_type_is_that_of_most_weights(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    weights = {"a": torch.zeros(4, 4, dtype=torch.bfloat16), "b": torch.zeros(3), "c": torch.zeros(2, dtype=torch.int8)}
    save_file(weights, file)
    stored = stored_in([file])
    assert (stored.numbers, stored.tensors, stored.dtype) == (21, 3, torch.bfloat16)
    save_file({"a": torch.zeros(4, 4, dtype=torch.float8_e4m3fn), "b": torch.zeros(3)}, file)
    with pytest.raises(DataError, match="most weights are stored as F8_E4M3, which cannot be trained"):
        stored_in([file])

"""A loaded model depends only on its config and weights, and its size is bounded."""

import json
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.pretrained.folders import edit, ids, load, write
from tests.models.pretrained.gguf_files import write_gguf
from trimtab.config import DataError, WorkError
from trimtab.config.offline import offline_import
from trimtab.models.pretrained import files as pretrained_files
from trimtab.models.pretrained.files import model_files
from trimtab.models.pretrained.loading import load_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", "llama")


def adapter(folder: Path, into: Path) -> None:
    """Write a low-rank adapter of a model to a folder, as peft does."""
    model = load(folder, {"name": "lora", "rank": 2})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.5)
    model.save(folder.parent / "adapter", adapter=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(folder.parent / "adapter" / name, into / name)


def test_an_adapter_beside_the_weights_is_refused(folder: Path) -> None:
    adapter(folder, folder)
    with pytest.raises(DataError, match=r"adapter_config.json describes an adapter .*merge_and_unload.* move"):
        load(folder)
    (folder / "adapter_config.json").unlink()
    load(folder)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was opened')",)


OTHERS = {
    "generation_config.json": b'{"temperature": 9.0, "eos_token_id": 7, "max_length": 1}',
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["code.Mine", null]}, "chat_template": "x"}',
    "special_tokens_map.json": b"{}",
    "chat_template.jinja": b"{{ 1 // 0 }}",
    "adapter_model.safetensors": b"",
    "adapter_model.bin": pickle.dumps(Bomb()),
    "pytorch_model.bin": pickle.dumps(Bomb()),
    "pytorch_model.bin.index.json": b'{"weight_map": {"a": "pytorch_model.bin"}}',
    "model.safetensors.index.json": b'{"weight_map": {"a": "pytorch_model.bin"}}',
    "tf_model.h5": b"x",
    "modeling_llama.py": b"raise SystemExit('code of the folder was run')",
    "configuration_llama.py": b"raise SystemExit('code of the folder was run')",
    "custom_generate": None,
    "kernels": None,
    ".metadata": pickle.dumps(Bomb()),
    "processor_config.json": b"{",
    "preprocessor_config.json": b"{",
    "config.5.0.0.json": b'{"model_type": "gpt2"}',
    "quantize_config.json": b'{"bits": 4}',
    "trimtab.json": b"{",
    "model.gguf": b"GGUF",
}
"""Files that transformers, peft or other programs read in a model's folder, with contents that would have an effect."""


def test_other_files_in_the_folder_do_not_change_the_model(folder: Path) -> None:
    plain = load(folder).eval()
    logits = plain(ids())
    for name, content in OTHERS.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
    crowded = load(folder).eval()
    assert crowded.fingerprint == plain.fingerprint
    assert torch.equal(crowded(ids()), logits)


@pytest.mark.parametrize("key", sorted(pretrained_files._IGNORED_KEYS))
def test_ignored_config_keys_do_not_change_the_model(key: str, folder: Path) -> None:
    values = {"dtype": "bfloat16", "torch_dtype": "bfloat16", "num_labels": 10**9, "id2label": {"x": 1}}
    value = values.get(key, "someone/kernel" if "implementation" in key else True)
    plain = load(folder).eval()
    edit(folder, **{key: value})
    changed = load(folder).eval()
    assert changed.fingerprint == plain.fingerprint
    assert torch.equal(changed(ids()), plain(ids()))


def test_the_config_does_not_choose_the_attention_implementation(folder: Path) -> None:
    edit(folder, _attn_implementation="someone/kernel@main:f", attn_implementation="flash_attention_2")
    network: Any = load_network(model_files(str(folder)))
    assert network.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("key", sorted(pretrained_files._REFUSED))
def test_a_config_that_asks_for_code_or_other_files_is_refused(key: str, folder: Path) -> None:
    for change in ({key: "x"}, {"text_config": {"deep": [{key: "x"}]}}):
        shutil.rmtree(folder)
        write(folder, "llama")
        edit(folder, **change)
        with pytest.raises(DataError, match=rf"config.json .*\(`{key}`\)"):
            load(folder)


def test_quantisation_of_a_part_is_refused(folder: Path) -> None:
    edit(folder, text_config={"quantization_config": {"quant_method": "awq"}})
    with pytest.raises(DataError, match=r"quantised \(awq\)"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_attention_heads": 0}, "its config has num_attention_heads: 0, but the value must be a whole number"),
        ({"rms_norm_eps": "1e-05"}, "cannot be loaded as a language model: .*rms_norm_eps"),
        ({"hidden_size": "32"}, "its config has hidden_size: '32', but the value must be a whole number"),
        ({"hidden_size": None}, "cannot be loaded as a language model: "),
        ({"text_config": {"model_type": "llama"}}, "cannot be loaded as a language model: "),
        ({"text_config": 7}, "cannot be loaded as a language model: "),
        ({"rope_parameters": {"rope_type": "no such"}}, "cannot be loaded as a language model: "),
        ({"hidden_act": "no such"}, "its config has hidden_act: 'no such', but the value must be the name of"),
        ({"model_type": ["llama"]}, "its config has model_type: a list, but the value must be the name of"),
        ({"pad_token_id": 999}, "cannot be loaded as a language model: "),
        ({"attention_dropout": 2.0}, "its config says attention_dropout 2.0"),
        ({"attention_dropout": -1}, "its config says attention_dropout -1"),
        ({"max_position_embeddings": -1}, "names -1 as its longest sequence"),
        ({"num_hidden_layers": 100_000}, "its config says num_hidden_layers 100000, but its weight files hold"),
        ({"num_hidden_layers": 900}, "a network of more than .*, the most that is accepted"),
        ({"hidden_size": 1 << 20, "head_dim": 8}, "a network of more than .* parameters, the most that is accepted"),
        ({"vocab_size": 1 << 35}, "a network of more than .* parameters, the most that is accepted"),
        ({"intermediate_size": 10**18}, "its config says intermediate_size 1000000000000000000"),
        ({"head_dim": 1 << 38}, "a network of more than .*, the most that is accepted"),
    ],
)
def test_a_wrong_or_far_too_large_config_is_refused_in_one_line(
    change: dict[str, Any], message: str, folder: Path
) -> None:
    edit(folder, **change)
    with pytest.raises(DataError, match=message) as caught:
        load(folder)
    assert len(str(caught.value)) < 1000
    assert "/trimtab-" not in str(caught.value)


def test_the_size_of_buffers_is_bounded(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", "gpt2")
    edit(folder, n_positions=1 << 24)
    with pytest.raises(DataError, match="a network of more than"):
        load(folder)


def test_the_type_of_weights_is_that_of_the_files_and_not_of_the_config(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    half = {name: value.bfloat16() for name, value in weights.items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder, dtype="float32")
    network: Any = load_network(model_files(str(folder)))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}


def test_other_files_beside_a_gguf_file_are_ignored(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    file = write_gguf(tmp_path / "here" / "tiny.gguf")
    plain = load_network(model_files(str(file)))(ids()).logits
    adapter(folder, file.parent)
    (file.parent / "config.json").write_text("{")
    assert torch.equal(load_network(model_files(str(file)))(ids()).logits, plain)


def test_a_part_of_a_split_gguf_file_is_refused_with_advice(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny-00001-of-00002.gguf", parts=2)
    with pytest.raises(DataError, match=r"is one of the 2 parts of a split GGUF file.*llama-gguf-split --merge"):
        load(file)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64, bytes(100)])
def test_a_damaged_gguf_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(DataError, match="x.gguf cannot be read as a GGUF file: "):
        load(tmp_path / "x.gguf")


def test_an_export_keeps_every_end_token(folder: Path, tmp_path: Path) -> None:
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 7], "temperature": 0.5, "do_sample": false}')
    load(folder).save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text())["eos_token_id"] == [2, 7]
    assert "/trimtab-" not in (tmp_path / "out" / "config.json").read_text()
    offline_import("transformers").AutoModelForCausalLM.from_pretrained(str(tmp_path / "out"))


def test_an_export_copies_no_file_through_a_link_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="outside the model's folder"):
        load(folder).save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_to_make_a_temporary_folder_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    with pytest.raises(WorkError, match="Cannot create a temporary folder: No such file or directory"):
        load_network(model_files(str(folder)))

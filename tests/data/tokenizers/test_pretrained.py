"""The tokenizer of a model's folder: its end, its special tokens, what it refuses."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tokenizers.test_spans import check_spans
from trimtab.config import REGISTRIES, DataError
from trimtab.data import FileTokenizer, PretrainedTokenizer


@pytest.fixture(scope="session")
def folder(bpe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder with a tokenizer alone: 600 ids and two special tokens."""
    folder = tmp_path_factory.mktemp("model")
    whole = tokenizers.Tokenizer.from_file(str(bpe_file))
    whole.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    whole.save(str(folder / "tokenizer.json"))
    write(folder, "tokenizer_config.json", eos_token="<|im_end|>")
    return folder


@functools.cache
def made(folder: Path, special: bool) -> PretrainedTokenizer:
    return PretrainedTokenizer(path=str(folder), special=special)


def write(folder: Path, name: str, **content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def test_it_is_the_file_tokenizer_of_the_folder_with_an_end(folder: Path) -> None:
    tokenizer, file = PretrainedTokenizer(path=str(folder)), FileTokenizer(path=str(folder / "tokenizer.json"))
    text = "def f(x):\n    return x + 42\n"
    assert tokenizer.encode(text).tolist() == file.encode(text).tolist()
    assert tokenizer.vocabulary == file.vocabulary == 602
    assert (tokenizer.end, file.end, tokenizer.name) == (601, None, folder.name)
    assert tokenizer.texts()[601] == "<|im_end|>"


def test_special_tokens_in_a_text_are_parsed_or_spelt(folder: Path) -> None:
    text = "<|im_start|>user<|im_end|>"
    parsed = PretrainedTokenizer(path=str(folder))
    spelt = PretrainedTokenizer(path=str(folder), special=False)
    assert parsed.encode(text)[[0, -1]].tolist() == [600, 601]
    assert not {600, 601} & set(spelt.encode(text).tolist())
    assert parsed.decode(parsed.encode(text)) == spelt.decode(spelt.encode(text)) == text
    assert parsed.fingerprint != spelt.fingerprint
    assert spelt.end == 601


@given(text=st.text() | st.lists(st.sampled_from(["<|im_end|>", "a", " ", "\n", "☃", "<|im_"])).map("".join))
def test_spans_go_through_the_text(folder: Path, text: str) -> None:
    for special in (True, False):
        check_spans(made(folder, special), text)


@pytest.mark.parametrize(
    ("files", "end"),
    [
        ({"tokenizer_config.json": {"eos_token": {"content": "<|im_start|>"}}}, 600),
        ({"generation_config.json": {"eos_token_id": [7, 8]}, "config.json": {"eos_token_id": 9}}, 7),
        ({"config.json": {"eos_token_id": 9}}, 9),
        ({"tokenizer_config.json": {"eos_token": None}, "config.json": {}}, None),
        ({}, None),
    ],
)
def test_the_end_is_what_the_folder_says(files: dict[str, Any], end: int | None, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    for name, content in files.items():
        write(tmp_path, name, **content)
    assert PretrainedTokenizer(path=str(tmp_path)).end == end


def test_a_folder_without_a_usable_tokenizer_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no model in .*trimtab models list"):
        PretrainedTokenizer(path=str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"contains no tokenizer.json.*save_pretrained"):
        PretrainedTokenizer(path=str(tmp_path))
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(DataError, match=r"trimtab models import .*x.gguf"):
        PretrainedTokenizer(path=str(tmp_path / "x.gguf"))
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    write(tmp_path, "tokenizer_config.json", eos_token="<end>")
    with pytest.raises(DataError, match="eos_token '<end>' is not in the vocabulary"):
        PretrainedTokenizer(path=str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(DataError, match="tokenizer_config.json cannot be read as JSON"):
        PretrainedTokenizer(path=str(tmp_path))


def test_a_config_names_it_by_folder(folder: Path) -> None:
    spec = REGISTRIES["tokenizer"].resolve({"name": "pretrained", "path": str(folder)})
    assert spec == {"name": "pretrained", "path": str(folder), "special": True, "allow_hub": False}
    assert REGISTRIES["tokenizer"].build(spec).vocabulary == 602


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({"generation_config.json": {"eos_token_id": [7, 601, 7]}, "config.json": {"eos_token_id": 9}}, (7, 601)),
        (
            {
                "tokenizer_config.json": {"eos_token": "<|im_end|>"},
                "generation_config.json": {"eos_token_id": [600, 601]},
            },
            (601, 600),
        ),
        ({"generation_config.json": {"eos_token_id": []}, "config.json": {"eos_token_id": 9}}, (9,)),
        ({"config.json": {"text_config": {"eos_token_id": [5, 6]}}}, (5, 6)),
        ({}, ()),
    ],
)
def test_every_end_token_of_the_folder_stops_generation(
    files: dict[str, Any], ends: tuple[int, ...], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    plain = PretrainedTokenizer(path=str(tmp_path)).fingerprint
    for name, content in files.items():
        write(tmp_path, name, **content)
    tokenizer = PretrainedTokenizer(path=str(tmp_path))
    assert tokenizer.ends == ends
    assert tokenizer.end == (ends[0] if ends else None)
    assert (tokenizer.fingerprint == plain) == (not ends)


@pytest.mark.parametrize("number", [128_009, 602, -1, True, 1.0, "2", {"id": 2}, [2, 602], [[2]]])
@pytest.mark.parametrize("name", ["generation_config.json", "config.json"])
def test_an_end_that_is_no_id_of_the_vocabulary_is_refused(
    number: Any, name: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    write(tmp_path, name, eos_token_id=number)
    with pytest.raises(DataError, match=rf"{name}: the eos_token_id .* is not an id of .*, which has 602 tokens"):
        PretrainedTokenizer(path=str(tmp_path))


@pytest.mark.parametrize("text", [7, ["</s>"], {"content": 7}, "x" * 5000, "\ud800"])
def test_an_end_that_is_no_token_is_refused(text: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    write(tmp_path, "tokenizer_config.json", eos_token=text)
    with pytest.raises(DataError, match="the eos_token .* is not in the vocabulary") as caught:
        PretrainedTokenizer(path=str(tmp_path))
    assert len(str(caught.value)) < 600


def test_a_tokenizer_behind_a_link_that_leads_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to(folder / "tokenizer.json")
    with pytest.raises(DataError, match="outside the model's folder"):
        PretrainedTokenizer(path=str(tmp_path))

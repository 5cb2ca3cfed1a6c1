import json
import os
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from trimtab.data import PAD, UNK, CharacterTokenizer, FileTokenizer
from trimtab.data.tokenizers import check
from trimtab.errors import DataError

PRINTABLE = "".join(map(chr, range(32, 127)))
POLICIES = {
    "printable": PRINTABLE,
    "printable_newline_tab": "\t\n" + PRINTABLE,
    "ascii128": "".join(map(chr, range(128))),
}


@pytest.mark.parametrize(("policy", "size"), [("printable", 97), ("printable_newline_tab", 99), ("ascii128", 130)])
def test_vocabulary_is_pad_unk_and_the_policy_in_code_point_order(policy: str, size: int) -> None:
    tokenizer = CharacterTokenizer(policy=policy)
    assert tokenizer.vocabulary == size
    assert tokenizer.dtype == np.uint8
    assert tokenizer.encode(POLICIES[policy]).tolist() == list(range(2, size))


def test_the_default_policy_gives_the_documented_ids() -> None:
    tokenizer = CharacterTokenizer()
    assert tokenizer.encode("\t\n ~").tolist() == [2, 3, 4, 98]
    assert (PAD, UNK) == (0, 1)


@given(data=st.data(), policy=st.sampled_from(sorted(POLICIES)))
def test_everything_inside_the_policy_round_trips(data: st.DataObject, policy: str) -> None:
    text = data.draw(st.text(alphabet=POLICIES[policy]))
    tokenizer = CharacterTokenizer(policy=policy)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.unknown_count(ids) == 0
    assert tokenizer.unknown_characters(text) == {}


@given(text=st.text(alphabet=st.characters(exclude_categories=())))
def test_characters_outside_the_policy_are_unknown_counted_and_decoded_to_a_mark(text: str) -> None:
    tokenizer = CharacterTokenizer()
    known = POLICIES["printable_newline_tab"]
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == "".join(c if c in known else "\ufffd" for c in text)
    outside = [c for c in text if c not in known]
    assert tokenizer.unknown_count(ids) == len(outside)
    assert tokenizer.unknown_characters(text) == {c: outside.count(c) for c in outside}


def test_decode_drops_padding_and_refuses_foreign_ids() -> None:
    tokenizer = CharacterTokenizer()
    assert tokenizer.decode([0, *tokenizer.encode("ab"), 0, 0]) == "ab"
    assert tokenizer.decode([]) == ""
    for ids in ([99], [-1]):
        with pytest.raises(ValueError, match=r"\[0, 99\)"):
            tokenizer.decode(ids)


def test_policies_have_different_fingerprints() -> None:
    assert len({CharacterTokenizer(policy=policy).fingerprint for policy in POLICIES}) == 3
    assert CharacterTokenizer().fingerprint == CharacterTokenizer(policy="printable_newline_tab").fingerprint


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="policy"):
        CharacterTokenizer(policy="latin")


@pytest.fixture(scope="module")
def bpe(bpe_file: Path) -> FileTokenizer:
    return FileTokenizer(path=str(bpe_file))


@given(text=st.text())
def test_a_bpe_file_round_trips_any_text_and_equals_the_library(bpe: FileTokenizer, bpe_file: Path, text: str) -> None:
    tokenizer = bpe
    ids = tokenizer.encode(text)
    assert ids.tolist() == tokenizers.Tokenizer.from_file(str(bpe_file)).encode(text).ids
    assert tokenizer.decode(ids) == text
    assert tokenizer.dropped(text) == {}
    assert tokenizer.unknown_count(ids) == 0


def test_a_long_text_encoded_in_parts_equals_the_library_at_once(bpe_file: Path) -> None:
    from trimtab.data import embedded_corpus

    text = "".join(embedded_corpus().blocks())
    tokenizer = FileTokenizer(path=str(bpe_file))
    assert tokenizer.cuts == "lines"
    assert tokenizer.encode(text).tolist() == tokenizers.Tokenizer.from_file(str(bpe_file)).encode(text).ids


def test_a_file_tokenizer_has_its_vocabulary_dtype_and_fingerprint(bpe_file: Path, tmp_path: Path) -> None:
    tokenizer = FileTokenizer(path=str(bpe_file))
    assert tokenizer.vocabulary == 600
    assert tokenizer.dtype == np.uint16
    assert tokenizer.encode("").dtype == np.uint16
    copy = tmp_path / "copy.json"
    copy.write_bytes(bpe_file.read_bytes())
    assert FileTokenizer(path=str(copy)).fingerprint == tokenizer.fingerprint
    copy.write_bytes(bpe_file.read_bytes() + b"\n")
    assert FileTokenizer(path=str(copy)).fingerprint != tokenizer.fingerprint


def test_truncation_and_padding_of_a_file_are_not_used(bpe_file: Path, tmp_path: Path) -> None:
    changed = tokenizers.Tokenizer.from_file(str(bpe_file))
    changed.enable_truncation(4)
    changed.enable_padding(length=64)
    changed.save(str(tmp_path / "cut.json"))
    text = "a text that is longer than four tokens"
    ids = FileTokenizer(path=str(tmp_path / "cut.json")).encode(text)
    assert ids.tolist() == FileTokenizer(path=str(bpe_file)).encode(text).tolist()


def test_unknown_words_of_a_word_tokenizer_are_counted_by_their_characters(tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "hello": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "words.json"))
    tokenizer = FileTokenizer(path=str(tmp_path / "words.json"))
    ids = tokenizer.encode("hello öö hello")
    assert ids.tolist() == [1, 0, 1]
    assert tokenizer.unknown_count(ids) == 1
    assert tokenizer.unknown_characters("hello öö hello") == {"ö": 2}


def test_the_text_of_a_tokenizer_that_adds_a_prefix_cannot_be_cut(tmp_path: Path) -> None:
    alphabet = {c: i for i, c in enumerate(["<unk>", "▁", *sorted(set(PRINTABLE + "\n\tÄïü½—"))])}
    prefixing = tokenizers.Tokenizer(models.BPE(vocab=alphabet, merges=[], unk_token="<unk>"))
    prefixing.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    prefixing.save(str(tmp_path / "prefix.json"))
    tokenizer = FileTokenizer(path=str(tmp_path / "prefix.json"))
    assert tokenizer.cuts == "never"
    assert tokenizer.encode("ab").tolist() == [alphabet["▁"], alphabet["a"], alphabet["b"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x00\xff", "not UTF-8"),
        (b"{ half", "not valid JSON"),
        (b"[]", "no `model` part"),
        (b'{"model": {}, "model": {}}', "the key 'model' twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "no `model` part"),
        (b'{"model": {"type": "BPE"}}', "not a usable tokenizer"),
        (json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}).encode(), "is empty"),
    ],
)
def test_a_malformed_tokenizer_file_is_refused_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        FileTokenizer(path=str(path))
    assert "broken.json" in str(caught.value)


def test_characters_without_a_token_are_counted(tmp_path: Path) -> None:
    characters = {char: number for number, char in enumerate("abcdefgh |<>")}
    library_tokenizer = tokenizers.Tokenizer(models.BPE(vocab=characters, merges=[]))
    library_tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    library_tokenizer.add_special_tokens(["<zz>"])
    library_tokenizer.save(str(tmp_path / "chars.json"))
    tokenizer = FileTokenizer(path=str(tmp_path / "chars.json"))
    text = "a zebra zzz | ü<zz> \n"
    assert tokenizer.dropped(text) == {"z": 4, "r": 1, "ü": 1}
    assert tokenizer.unknown_characters(text) == {"z": 4, "r": 1, "ü": 1}
    assert tokenizer.dropped("a bad cab <zz>") == {}


def test_characters_that_a_normaliser_removes_are_counted(tmp_path: Path, bpe_file: Path) -> None:
    library_tokenizer = tokenizers.Tokenizer.from_file(str(bpe_file))
    library_tokenizer.normalizer = normalizers.Replace(tokenizers.Regex("[^a-z ]"), "")
    library_tokenizer.save(str(tmp_path / "letters.json"))
    assert FileTokenizer(path=str(tmp_path / "letters.json")).dropped("We saw 12 cats.") == {
        "W": 1,
        "1": 1,
        "2": 1,
        ".": 1,
    }


def test_a_tokenizer_that_fails_on_unknown_words_is_refused(tmp_path: Path) -> None:
    words = tokenizers.Tokenizer(models.WordLevel({"hello": 0}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "words.json"))
    with pytest.raises(DataError, match=r"words\.json is not a usable tokenizer: .*Missing \[UNK\] token"):
        FileTokenizer(path=str(tmp_path / "words.json"))


def grown(bpe_file: Path, **parts: object) -> bytes:
    return json.dumps({**json.loads(bpe_file.read_text()), **parts}).encode()


def chain(letter: str, length: int) -> dict[str, object]:
    """A normaliser that doubles a letter `length` times."""
    double = {"type": "Replace", "pattern": {"String": letter}, "content": letter * 2}
    return {"type": "Sequence", "normalizers": [double] * length}


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name} is not a usable tokenizer: ") as error:
        FileTokenizer(path=str(path))
    assert len(str(error.value)) < 800
    return str(error.value)


def test_a_file_with_excessively_long_results_or_large_ids_is_refused(tmp_path: Path, bpe_file: Path) -> None:
    assert "tokens of the character 'ж'" in refused(tmp_path / "a.json", grown(bpe_file, normalizer=chain("ж", 12)))
    content = json.loads(bpe_file.read_text())
    token = {"special": False, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    added = [*content["added_tokens"], {**token, "id": 300, "content": "x" * 30_000}]
    hidden = grown(bpe_file, normalizer=chain("§", 12), added_tokens=added)
    assert "tokens of the character '§'" in refused(tmp_path / "c.json", hidden)
    unnamed = {"type": "Replace", "pattern": {"Regex": "\\x{2603}"}, "content": "qz" * 150}
    assert "tokens of the character '☃'" in refused(tmp_path / "d.json", grown(bpe_file, normalizer=unnamed))
    ids = json.loads(bpe_file.read_text())
    ids["model"]["vocab"]["far"] = 1 << 31
    assert "the id 2,147,483,648" in refused(tmp_path / "b.json", json.dumps(ids).encode())


@pytest.mark.slow
def test_a_file_that_would_take_all_memory_or_time_is_refused_without_output(
    tmp_path: Path, bpe_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, letter in enumerate("aж"):
        refused(tmp_path / f"{number}.json", grown(bpe_file, normalizer=chain(letter, 40)))
    pattern = {"type": "Split", "pattern": {"Regex": "(a+)+$b"}, "behavior": "Isolated", "invert": False}
    refused(tmp_path / "pattern.json", grown(bpe_file, pre_tokenizer=pattern))
    assert capfd.readouterr() == ("", "")


def test_the_trial_of_a_good_file_is_remembered(
    tmp_path: Path, bpe_file: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    path = tmp_path / "new.json"
    path.write_bytes(bpe_file.read_bytes() + b" ")
    FileTokenizer(path=str(path))
    assert len(list((cache / "tokenizers").iterdir())) == 1
    monkeypatch.setattr(check, "_sound", set())
    monkeypatch.setattr(check, "run_limited", lambda *_, **__: pytest.fail("the trial was repeated"))
    assert FileTokenizer(path=str(path)).encode("a").size == 1


def test_a_missing_tokenizer_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "pipe.json"):
        with pytest.raises(DataError, match="cannot be read") as caught:
            FileTokenizer(path=str(path))
        assert str(path) in str(caught.value)


def test_a_model_with_random_merges_is_refused(bpe_file: Path, tmp_path: Path) -> None:
    content = json.loads(bpe_file.read_text())
    content["model"]["dropout"] = 0.1
    (tmp_path / "random.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="dropout"):
        FileTokenizer(path=str(tmp_path / "random.json"))

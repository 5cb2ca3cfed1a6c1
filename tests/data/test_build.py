import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.data import CharacterTokenizer, FileTokenizer, build_corpus, corpus, embedded_corpus, opening_text
from trimtab.data.build import _train_tokens
from trimtab.errors import ConfigError, DataError
from trimtab.runtime.events import Progress, RunEvent


def test_the_embedded_corpus_is_split_into_a_first_and_a_last_part() -> None:
    data = corpus(tokenizer=CharacterTokenizer())
    text = "".join(embedded_corpus().blocks())
    report = data.report
    assert report.tokens == report.characters == len(text)
    assert report.train_tokens == round(0.95 * len(text))
    assert report.train_tokens + report.validation_tokens == report.tokens
    shown = "".join(c if c in "\t\n" or 32 <= ord(c) < 127 else "\ufffd" for c in text)
    assert data.tokenizer.decode(data.train[0]["input_ids"]) == shown[:257]
    assert data.tokenizer.decode(data.validation[0]["input_ids"]) == shown[report.train_tokens :][:257]
    last = data.validation[len(data.validation) - 1]["labels"]
    assert data.tokenizer.decode(last) == shown[-len(last) :]
    assert len(data.train) == -(-(report.train_tokens - 1) // 256)
    assert (data.name, data.fingerprint) == (report.name, report.fingerprint)


def test_the_report_lists_files_skipped_files_and_unknown_characters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("naïve – naïve\n" * 500)
    (tmp_path / "b.bin").write_bytes(b"\0")
    data = corpus(tokenizer=CharacterTokenizer(), path=str(tmp_path), context=16, stride=None)
    report = data.report
    assert report.unknown_tokens == 1500
    assert report.unknown_share == pytest.approx(1500 / 7000)
    assert (report.unknown_characters.train, report.unknown_characters.validation) == (1425, 75)
    assert [tuple(entry) for entry in report.unknown_characters.most_frequent] == [("ï", 1000), ("–", 500)]
    shown = "\n".join(report.lines())
    for part in ("1 file", "7,000 characters", "1 skipped", "b.bin (byte 0 is NUL", "'ï' U+00EF x1,000"):
        assert part in shown
    assert "trimtab tokenizer train" in shown
    assert "trimtab tokenizer train" not in "\n".join(corpus(tokenizer=CharacterTokenizer()).report.lines())
    loaded = json.loads(json.dumps(report.to_dict()))
    assert loaded["skipped"][0]["size"] == 1
    assert loaded["unknown_characters"]["most_frequent"][1] == {"character": "–", "occurrences": 500}


def test_the_report_escapes_unprintable_characters_and_shortens_long_lists(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(map(chr, range(0x80, 0xA0))) * 100)
    for index in range(15):
        (tmp_path / f"{index}.bin").write_bytes(b"\0")
    report = corpus(tokenizer=CharacterTokenizer(), path=str(tmp_path), context=16, stride=None).report
    assert len(report.unknown_characters.most_frequent) == 10
    assert report.to_dict()["unknown_characters"]["most_frequent"][0]["character"] == "U+0080"
    assert "and 5 more" in report.lines()[1]
    assert all(line.isprintable() for line in report.lines())


def test_a_corpus_can_be_encoded_with_a_tokenizer_file(bpe_file: Path) -> None:
    data = corpus(tokenizer=FileTokenizer(path=str(bpe_file)), context=64, stride=32)
    assert data.report.tokens < data.report.characters / 1.5
    assert data.report.unknown_tokens == data.report.inexact_cuts == 0
    text = "".join(embedded_corpus().blocks())
    assert opening_text(data.tokenizer, data.train.tokens, 1000) == text[:1000]
    assert opening_text(data.tokenizer, data.train.tokens) + data.tokenizer.decode(data.validation.tokens) == text


def test_the_fingerprint_depends_only_on_content_and_tokenizer(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("text " * 1000)

    def fingerprint(name: str, policy: str = "printable", context: int = 16, share: float = 0.05) -> str:
        tokenizer = CharacterTokenizer(policy=policy)
        path = str(tmp_path / name)
        return build_corpus(path=path, tokenizer=tokenizer, context=context, validation_share=share).fingerprint

    first = fingerprint("a.txt")
    assert fingerprint("b.txt", context=32, share=0.2) == first
    assert fingerprint("a.txt", policy="ascii128") != first
    (tmp_path / "a.txt").write_text("text " * 1000 + ".")
    assert fingerprint("a.txt") != first


@given(st.integers(1, 40), st.sampled_from([0.05, 0.1, 0.5, 0.9, 1 / 3]), st.integers(-2, 1))
def test_a_corpus_is_refused_exactly_if_a_split_is_shorter_than_a_window(
    tmp_path_factory: pytest.TempPathFactory, context: int, share: float, off: int
) -> None:
    needed = next(n for n in range(10_000) if min(_train_tokens(n, share), n - _train_tokens(n, share)) >= context + 1)
    path = tmp_path_factory.mktemp("short") / "short.txt"
    path.write_text("x" * (needed + off))

    def build() -> None:
        build_corpus(path=str(path), tokenizer=CharacterTokenizer(), context=context, validation_share=share)

    if off >= 0:
        build()
        return
    with pytest.raises(DataError) as caught:
        build()
    assert f"{needed + off:,} characters" in str(caught.value)
    assert f"about {needed:,}" in str(caught.value)


def test_the_needed_length_is_reported_in_characters_and_tokens(tmp_path: Path, bpe_file: Path) -> None:
    (tmp_path / "short.txt").write_text("a short text of words " * 20)
    with pytest.raises(
        DataError, match=r"440 characters \(\d+ tokens\), and about \d,\d+ \(5,1\d\d tokens\) are needed"
    ):
        corpus(tokenizer=FileTokenizer(path=str(bpe_file)), path=str(tmp_path / "short.txt"))


def test_a_file_with_only_a_byte_order_mark_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(DataError, match="0 characters"):
        corpus(tokenizer=CharacterTokenizer(), path=str(tmp_path / "bom.txt"))


def test_a_stride_that_loses_tokens_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"data\.stride"):
        corpus(tokenizer=CharacterTokenizer(), context=64, stride=65)


def test_progress_reaches_the_end_and_a_cached_corpus_is_not_encoded_again(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text " * 1000)
    events: list[RunEvent] = []
    for _ in range(2):
        corpus(
            tokenizer=CharacterTokenizer(),
            path=str(tmp_path),
            context=16,
            stride=16,
            events=events.append,
        )
    read, encoded = (Progress(f"{what} the corpus", "byte", 5000, 5000) for what in ("reading", "encoding"))
    assert events == [read, encoded, read]


def test_the_component_is_built_from_a_config() -> None:
    from trimtab.training.components import DATA, TOKENIZERS

    spec = DATA.resolve({"name": "corpus", "context": 128})
    assert spec == {"name": "corpus", "path": None, "context": 128, "stride": None, "validation_share": 0.05}
    spec = DATA.resolve({"name": "corpus", "context": 128, "stride": None})
    tokenizer = TOKENIZERS.build(TOKENIZERS.resolve({"name": "character", "policy": "ascii128"}))
    assert len(DATA.build(spec, tokenizer=tokenizer).train[0]["input_ids"]) == 129
    assert all(parameter.description for parameter in DATA.parameters("corpus"))
    for name in ("character", "file"):
        assert all(parameter.description for parameter in TOKENIZERS.parameters(name))


@pytest.mark.parametrize("share", [0.9999999999999999, 1e-300, 1e-12])
def test_a_share_that_leaves_a_split_without_a_window_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("x" * 5000)
    with pytest.raises(DataError) as caught:
        build_corpus(path=str(path), tokenizer=CharacterTokenizer(), context=32, validation_share=share)
    assert str(caught.value).startswith(f"`data.validation_share` is {share}, which splits the corpus ")
    assert "Set `data.validation_share` to a value from 0.0066 to 0.9934, for example 0.05, or" in str(caught.value)
    for share_in_range in (0.0066, 0.9934):
        build_corpus(path=str(path), tokenizer=CharacterTokenizer(), context=32, validation_share=share_in_range)


def test_the_needed_length_is_exact_for_tiny_shares(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("x" * 100)
    with pytest.raises(DataError) as caught:
        build_corpus(
            path=str(tmp_path / "short.txt"), tokenizer=CharacterTokenizer(), context=32, validation_share=1e-15
        )
    (characters, tokens) = re.findall(r"[\d,]{12,}", str(caught.value))
    assert characters == tokens

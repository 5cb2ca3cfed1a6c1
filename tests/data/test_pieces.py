from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, normalizers, pre_tokenizers

from trimtab.data import FileTokenizer, embedded_corpus
from trimtab.data.pieces import parts, pieces

BLOCKS = st.lists(st.text(alphabet="ab1 .\n\té\r"), max_size=12)


@given(
    blocks=BLOCKS,
    size=st.integers(1, 8),
    longest=st.integers(8, 20),
    cuts=st.sampled_from(["anywhere", "lines", "words", "never"]),
)
def test_the_concatenated_pieces_are_the_text_and_exact_pieces_end_at_safe_places(blocks, size, longest, cuts) -> None:
    cut = list(pieces(blocks, cuts, size=size, longest=longest))
    assert "".join(piece.text for piece in cut) == "".join(blocks)
    assert all(piece.text for piece in cut)
    for piece, after in zip(cut, cut[1:], strict=False):
        if cuts in ("lines", "words") and piece.exact:
            assert not piece.text[-1].isspace()
            assert piece.text[-1].isalnum() or cuts == "lines"
            assert after.text[0] == "\n"
        if cuts == "never":
            assert not piece.exact


@given(blocks=BLOCKS, size=st.integers(1, 8), longest=st.integers(8, 20))
def test_the_length_of_a_piece_is_bounded(blocks, size, longest) -> None:
    for piece in pieces(blocks, "lines", size=size, longest=longest):
        assert len(piece.text) <= longest + size + 2 * max(map(len, blocks))


def test_a_text_without_line_ends_is_cut_at_a_space_and_marked_inexact() -> None:
    cut = list(pieces(["word " * 10] * 4, "lines", size=10, longest=60))
    assert cut[0] == ("word " * 19 + "word", False)
    assert "".join(piece.text for piece in cut) == "word " * 40


def test_punctuation_before_a_newline_is_a_safe_place_for_lines_but_not_for_words() -> None:
    blocks = ["ab.\n", "cd\n", "ef"]
    assert [piece.text for piece in pieces(blocks, "lines", size=1)] == ["ab.", "\ncd", "\nef"]
    assert [piece.text for piece in pieces(blocks, "words", size=1)] == ["ab.\ncd", "\nef"]


@given(text=st.text(alphabet="ab1 .\n"), size=st.integers(1, 10), cuts=st.sampled_from(["lines", "words"]))
def test_the_concatenated_parts_are_the_text(text: str, size: int, cuts) -> None:
    cut = parts(text, cuts, size)
    assert "".join(cut) == text
    for part, after in zip(cut, cut[1:], strict=False):
        assert not part[-1].isspace()
        assert part[-1].isalnum() or cuts == "lines"
        assert after[0] == "\n"


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module", params=["gpt2", "llama3"])
def byte_level(
    request: pytest.FixtureRequest, bpe_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> FileTokenizer:
    """The trained BPE with the pre-tokenizer of GPT-2, and with the one of Llama 3 (which joins `.` and newlines)."""
    library_tokenizer = tokenizers.Tokenizer.from_file(str(bpe_file))
    if request.param == "llama3":
        library_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    out = tmp_path_factory.mktemp(request.param) / "tokenizer.json"
    library_tokenizer.save(str(out))
    tokenizer = FileTokenizer(path=str(out))
    assert tokenizer.cuts == {"gpt2": "lines", "llama3": "words"}[request.param]
    return tokenizer


@settings(max_examples=200)
@given(lines=st.lists(st.text(alphabet="ab'st1 .,(\n\tÉ½\u2028"), max_size=8), size=st.integers(1, 12))
@example(lines=["a \n\n a.\n\n", "b\n \n\tb"], size=1)
def test_pieces_encoded_one_by_one_equal_the_whole(byte_level: FileTokenizer, lines: list[str], size: int) -> None:
    whole = byte_level.encode("\n".join(lines)).tolist()
    blocks = [line + ("\n" if i + 1 < len(lines) else "") for i, line in enumerate(lines)]
    cut = list(pieces(blocks, byte_level.cuts, size=size))
    assert [token for piece in cut for token in byte_level.encode(piece.text).tolist()] == whole


@pytest.fixture(scope="module", params=["rstrip", "lstrip", "single_word", "prefix", "strip", "newlines"])
def unusual(request: pytest.FixtureRequest, bpe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> FileTokenizer:
    """The trained BPE, changed so that line ends, spaces or the ends of a text affect its tokens."""
    library_tokenizer = tokenizers.Tokenizer.from_file(str(bpe_file))
    if request.param in ("rstrip", "lstrip", "single_word"):
        library_tokenizer.add_special_tokens([tokenizers.AddedToken("<|end|>", **{request.param: True})])
        library_tokenizer.add_tokens([tokenizers.AddedToken("end", **{request.param: True})])
    elif request.param == "prefix":
        library_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    elif request.param == "strip":
        library_tokenizer.normalizer = normalizers.Strip()
    else:
        library_tokenizer.normalizer = normalizers.Replace(Regex(r"\s*\n\s*"), " / ")
    out = tmp_path_factory.mktemp("unusual") / f"{request.param}.json"
    library_tokenizer.save(str(out))
    return FileTokenizer(path=str(out))


@pytest.mark.parametrize("line", ["user says {}<|end|>\n", "the end {} \n\n", " a\n", "end{}end\n", "x{}!\n"])
def test_cuts_change_no_token_or_are_counted(unusual: FileTokenizer, line: str) -> None:
    text = "".join(line.format(number) for number in range(1200))
    whole = unusual._encode_whole(text).tolist()
    blocks = [text[start : start + 300] for start in range(0, len(text), 300)]
    cut = list(pieces(blocks, unusual.cuts, size=2000, longest=6000, encode=unusual.encode))
    assert len(cut) > 1 or len(text) < 6000
    streamed = [token for piece in cut for token in unusual.encode(piece.text).tolist()]
    inexact = sum(not piece.exact for piece in cut)
    assert streamed == whole or inexact
    assert inexact == 0 or unusual.path.stem in ("strip", "newlines", "prefix")
    encoded = [
        token
        for part in parts(text, unusual.cuts, 1000, unusual._encode_whole)
        for token in unusual._encode_whole(part).tolist()
    ]
    assert encoded == whole


def test_the_embedded_corpus_in_many_pieces_equals_the_whole(byte_level: FileTokenizer) -> None:
    text = "".join(embedded_corpus().blocks())
    blocks = [text[start : start + 997] for start in range(0, len(text), 997)]
    cut = list(pieces(blocks, byte_level.cuts, size=1000))
    assert len(cut) > 200
    assert all(piece.exact for piece in cut)
    streamed = [token for piece in cut for token in byte_level.encode(piece.text).tolist()]
    whole = tokenizers.Tokenizer.from_file(str(byte_level.path)).encode(text).ids
    assert streamed == whole

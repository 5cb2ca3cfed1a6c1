"""The spans of the ids of a text, and the text of each single id."""

from pathlib import Path

import numpy as np
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, processors

from trimtab.data import CharacterTokenizer, FileTokenizer, Tokenizer


def check_spans(tokenizer: Tokenizer, text: str) -> None:
    """The ids are those of `encode`; the spans go through the text in order and leave nothing out."""
    ids, spans = tokenizer.spans(text)
    assert np.array_equal(ids, tokenizer.encode(text))
    assert spans.shape == (len(ids), 2)
    assert ids.dtype == tokenizer.dtype
    covered = 0
    for start, end in spans.tolist():
        assert start <= covered <= end
        assert start < end
        covered = end
    assert covered == len(text)


@given(text=st.text())
def test_spans_of_characters(text: str) -> None:
    check_spans(CharacterTokenizer(), text)


@given(text=st.text())
def test_spans_of_bytes_merged(bpe_file: Path, text: str) -> None:
    check_spans(FileTokenizer(path=str(bpe_file)), text)


def test_a_span_is_the_text_of_its_id(bpe_file: Path) -> None:
    text = "The sum of 12 and  30 is 42.\n"
    for tokenizer in (CharacterTokenizer(), FileTokenizer(path=str(bpe_file))):
        ids, spans = tokenizer.spans(text)
        texts = tokenizer.texts()
        assert [text[start:end] for start, end in spans.tolist()] == [texts[i] for i in ids.tolist()]


def test_ids_that_share_a_character_share_its_span(bpe_file: Path) -> None:
    ids, spans = FileTokenizer(path=str(bpe_file)).spans("a☃b")
    assert spans.tolist() == [[0, 1], *[[1, 2]] * (len(ids) - 2), [2, 3]]
    assert len(ids) > 3


def test_spans_keep_the_spaces_that_a_post_processor_would_trim(tmp_path: Path) -> None:
    trimming = tokenizers.Tokenizer(models.BPE({"a": 0, "Ġ": 1, "Ġa": 2}, [("Ġ", "a")]))
    trimming.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trimming.post_processor = processors.ByteLevel(trim_offsets=True)
    trimming.save(str(tmp_path / "trimming.json"))
    assert trimming.encode("a a").offsets == [(0, 1), (2, 3)]
    ids, spans = FileTokenizer(path=str(tmp_path / "trimming.json")).spans("a a")
    assert (ids.tolist(), spans.tolist()) == ([0, 2], [[0, 1], [1, 3]])


def test_texts_are_the_decoded_text_of_every_id(bpe_file: Path) -> None:
    for tokenizer in (CharacterTokenizer(), FileTokenizer(path=str(bpe_file))):
        texts = tokenizer.texts()
        assert len(texts) == tokenizer.vocabulary
        assert all(texts[i] == tokenizer.decode([i]) for i in range(tokenizer.vocabulary))
        assert [digit for digit in "0123456789" if digit in texts] == list("0123456789")


def test_an_id_missing_from_the_vocabulary_has_no_text(tmp_path: Path) -> None:
    sparse = tokenizers.Tokenizer(models.WordLevel({"a": 0, "c": 2}, unk_token="a"))
    sparse.save(str(tmp_path / "sparse.json"))
    assert FileTokenizer(path=str(tmp_path / "sparse.json")).texts() == ["a", "", "c"]


def test_character_and_file_tokenizers_have_no_end_token(bpe_file: Path) -> None:
    assert CharacterTokenizer().end is None
    assert FileTokenizer(path=str(bpe_file)).end is None

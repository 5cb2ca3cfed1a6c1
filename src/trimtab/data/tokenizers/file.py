"""Tokenizers in a `tokenizer.json` file."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import tokenizers
from jaxtyping import Bool, Int
from pydantic import Field

from trimtab.boundary import StrictJsonError, foreign, read_regular, strict_json, user_path
from trimtab.config.schema import FILE_PATH
from trimtab.data.pieces import Cuts, is_exact, parts
from trimtab.data.tokenizers.check import LARGEST, check_tokenizer, unusable
from trimtab.data.tokenizers.interface import Ids
from trimtab.errors import DataError

_PART = 1 << 16
_PROBE = (
    'The 1st line\n\n  two = [3, "x9"]\n\tthree: it\'s 12345\nfour,  five;\n\n});\n\n\nÄrger — naïve 7½\n é…\n'
    "\n six\n seven 8\n </i>\n"
    + "".join(f"a{mark}\nb{mark}{mark}\n\n c {mark}\n" for mark in "!#$%&'()*+,-./:<=>?@\\^_`{|}~”—")
)
_WORD_ENDS = [i for i in range(1, len(_PROBE)) if _PROBE[i] == " " and _PROBE[i - 1].isalnum()]


class FileTokenizer:
    """A tokenizer in a `tokenizer.json` file, the format of Hugging Face's library `tokenizers`.

    Padding, truncation and the tokens that the post-processor of the file would add around a text are not used, because a corpus
    is one long text. Special tokens decode to their names. Raises DataError if the file is missing or is not a tokenizer.
    """

    def __init__(
        self,
        *,
        path: Annotated[str, Field(min_length=1, description="The tokenizer.json file.", json_schema_extra=FILE_PATH)],
    ) -> None:
        self.path = user_path(path, "data.tokenizer.path")
        content, model = _tokenizer_file(self.path)
        with foreign(DataError, partial(unusable, self.path)):
            self._tokenizer = tokenizers.Tokenizer.from_buffer(content)
        if model.get("dropout"):
            reason = "its model has BPE dropout, so the ids of a text are random; set `dropout` to null"
            raise DataError(unusable(self.path, reason))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # It adds tokens around a text, and may remove spaces from the spans.
        self._tokenizer.post_processor = None
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        if not vocabulary:
            raise DataError(unusable(self.path, "its vocabulary is empty"))
        self.name = self.path.stem
        self.end: int | None = None
        self.ends: tuple[int, ...] = ()
        self.vocabulary = 1 + max(vocabulary.values())
        self.dtype: np.dtype[np.unsignedinteger[Any]] = np.min_scalar_type(self.vocabulary - 1)
        self.fingerprint = hashlib.sha256(b"file 1\0" + content).hexdigest()
        # A Unigram model names its unknown token by id, other models by text; a byte-level model has none.
        unknown_text = model.get("unk_token")
        self._unknown: int | None = model.get(
            "unk_id", vocabulary.get(unknown_text) if isinstance(unknown_text, str) else None
        )
        self._texts: list[str] = []
        self._has_token: dict[str, bool] = {}
        self.cuts: Cuts = self._probe()

    def encode(self, text: str) -> Ids:
        """Returns the ids of a text. Long texts are encoded in parts, on several cores, where this gives the same ids.

        Raises DataError if the tokenizer fails on the text.
        """
        texts = parts(text, self.cuts, _PART, self._encode_whole) if self.cuts != "never" else [text]
        with foreign(DataError, self._failed):
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return np.concatenate([np.array(encoding.ids, dtype=self.dtype) for encoding in encodings])

    def decode(self, ids: npt.ArrayLike) -> str:
        """Returns the text of `ids`; bytes that are not UTF-8 (a part of a character) become U+FFFD."""
        numbers = np.asarray(ids).reshape(-1).tolist()
        with foreign(DataError, self._failed):
            return self._tokenizer.decode(numbers, skip_special_tokens=False)

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """Returns the ids of a text, encoded as a whole, and their spans. Ids that share a character have the same span."""
        encoding = self._encoding(text)
        return np.array(encoding.ids, dtype=self.dtype), np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)

    def texts(self) -> Sequence[str]:
        """Returns the text of every single id; U+FFFD if its bytes are a part of a character."""
        if not self._texts:
            self._texts = self._tokenizer.decode_batch([[i] for i in range(self.vocabulary)], skip_special_tokens=False)
        return self._texts

    def unknown_count(self, ids: Ids) -> int:
        """Returns the number of ids that are the unknown token; 0 if there is none (byte-level BPE)."""
        return 0 if self._unknown is None else int(np.count_nonzero(ids == self._unknown))

    def dropped(self, text: str) -> Mapping[str, int]:
        """Returns the characters that are encoded as no token, with their counts; white space is ignored.

        A vocabulary of characters without an unknown token drops the characters that it lacks, and so can a normaliser. Each
        character is tested once, repeated three times. A character that is dropped there counts wherever it occurs, except in an
        added token.
        """
        untested = sorted(char for char in set(text) if char not in self._has_token and not char.isspace())
        for char in untested:
            self._has_token[char] = bool(_covered(3, self.spans(char * 3)[1]).all())
        lacking = {char for char in set(text) if not self._has_token.get(char, True)}
        if not lacking:
            return {}
        ids, spans = self.spans(text)
        added = spans[np.isin(ids, list(self._tokenizer.get_added_tokens_decoder()))]
        in_added = _covered(len(text), added) if len(added) else np.zeros(len(text), dtype=bool)
        return Counter(
            char for char, is_added in zip(text, in_added.tolist(), strict=True) if char in lacking and not is_added
        )

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """Returns the characters in the spans of unknown tokens and the dropped characters, with their counts."""
        counter = Counter(self.dropped(text))
        if self._unknown is not None:
            ids, spans = self.spans(text)
            for start, end in spans[ids == self._unknown].tolist():
                counter.update(text[start:end])
        return counter

    def _encode_whole(self, text: str) -> Ids:
        with foreign(DataError, self._failed):
            (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return np.array(encoding.ids, dtype=self.dtype)

    def _encoding(self, text: str) -> tokenizers.Encoding:
        with foreign(DataError, self._failed):
            return self._tokenizer.encode(text, add_special_tokens=False)

    def _failed(self, reason: str) -> str:
        return f"The tokenizer {self.path} fails on this text: {reason}. Use a tokenizer that can encode every text."

    def _probe(self) -> Cuts:
        """Where texts may be cut, tested on a text with every kind of line end: both halves must have the ids of the whole.

        Whether punctuation and newlines are joined also depends on the vocabulary, so the pre-tokenizer is checked too. If texts
        cannot be cut at line ends, they may still be cut before the space of a word.
        """
        whole = self._encode_whole(_PROBE)
        places = [i for i in range(1, len(_PROBE)) if _PROBE[i] == "\n" and not _PROBE[i - 1].isspace()]
        halves = {i: (self._encode_whole(_PROBE[:i]), self._encode_whole(_PROBE[i:])) for i in places}
        safe = {i for i, pair in halves.items() if np.array_equal(np.concatenate(pair), whole)}
        splitter = self._tokenizer.pre_tokenizer
        if splitter is not None:
            edges = {edge for _, span in splitter.pre_tokenize_str(_PROBE) for edge in span}
            safe &= edges
            if safe.issuperset(places):
                return "lines"
        if safe.issuperset(i for i in places if _PROBE[i - 1].isalnum()):
            return "words"
        return "tried" if any(is_exact(_PROBE, i, self._encode_whole) for i in _WORD_ENDS) else "never"


def _covered(length: int, spans: Int[np.ndarray, "ids 2"]) -> Bool[np.ndarray, " length"]:
    """Whether each of `length` characters is in a span."""
    edges = np.zeros(length + 1, dtype=np.int64)
    np.add.at(edges, spans[:, 0], 1)
    np.add.at(edges, spans[:, 1], -1)
    return np.cumsum(edges)[:-1] > 0


def _tokenizer_file(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a tokenizer file, and its description of the model."""
    try:
        content = read_regular(path, at_most=LARGEST)
    except OSError as error:
        raise DataError(
            f"The tokenizer file {path} cannot be read ({error.strerror}). Name a tokenizer.json that exists, or train one "
            "with `trimtab tokenizer train`."
        ) from error
    try:
        whole = strict_json(content)
    except StrictJsonError as error:
        raise DataError(unusable(path, str(error))) from error
    model = whole.get("model") if isinstance(whole, dict) else None
    if not isinstance(model, dict):
        raise DataError(unusable(path, "it has no `model` part"))
    check_tokenizer(path, content)
    return content, model

"""Tokenizers kept in a `tokenizer.json` file."""

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
    """A tokenizer kept in a `tokenizer.json` of the `tokenizers` library (Hugging Face's format).

    Padding, truncation and the tokens that the file's post-processor would add around a text are left out: a corpus is
    one long text. Special tokens decode to their names. Raises DataError for a file that is missing or no tokenizer.
    """

    def __init__(
        self,
        *,
        path: Annotated[
            str, Field(min_length=1, description="The tokenizer.json file to use.", json_schema_extra=FILE_PATH)
        ],
    ) -> None:
        self.path = user_path(path, "data.tokenizer.path")
        content, model = _tokenizer_file(self.path)
        with foreign(DataError, partial(unusable, self.path)):
            self._tokenizer = tokenizers.Tokenizer.from_buffer(content)
        if model.get("dropout"):
            reason = "its model has BPE dropout, so that the ids of a text are drawn at random; set `dropout` to null"
            raise DataError(unusable(self.path, reason))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # It adds tokens around a text, which nobody asks for here, and may trim spaces off the spans.
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
        # A Unigram model names its unknown token by id, the others by its text; a byte-level one has none.
        named = model.get("unk_token")
        self._unknown: int | None = model.get("unk_id", vocabulary.get(named) if isinstance(named, str) else None)
        self._texts: list[str] = []
        self._kept: dict[str, bool] = {}
        self.cuts: Cuts = self._probe()

    def encode(self, text: str) -> Ids:
        """The ids of a text. Long texts are encoded in parts, on several cores, where that gives the same ids.

        Raises DataError where the file's tokenizer fails on the text.
        """
        found = parts(text, self.cuts, _PART, self._encode_whole) if self.cuts != "never" else [text]
        with foreign(DataError, self._failed):
            encodings = self._tokenizer.encode_batch_fast(found, add_special_tokens=False)
        return np.concatenate([np.array(encoding.ids, dtype=self.dtype) for encoding in encodings])

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`; bytes that are no UTF-8 (a character cut in two) become U+FFFD."""
        numbers = np.asarray(ids).reshape(-1).tolist()
        with foreign(DataError, self._failed):
            return self._tokenizer.decode(numbers, skip_special_tokens=False)

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """The ids of a text, encoded at once, and where each stands. Ids that share a character share its span."""
        encoding = self._encoding(text)
        return np.array(encoding.ids, dtype=self.dtype), np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)

    def texts(self) -> Sequence[str]:
        """The text of every id by itself; U+FFFD where its bytes are a part of a character."""
        if not self._texts:
            self._texts = self._tokenizer.decode_batch([[i] for i in range(self.vocabulary)], skip_special_tokens=False)
        return self._texts

    def unknown_count(self, ids: Ids) -> int:
        """How many of these ids are the file's unknown token; 0 where it has none (byte-level BPE)."""
        return 0 if self._unknown is None else int(np.count_nonzero(ids == self._unknown))

    def dropped(self, text: str) -> Mapping[str, int]:
        """The characters that are encoded as no token, white space aside, with their counts.

        A vocabulary of characters without an unknown token drops those that it lacks, and so may a normaliser. Each character
        is tried once, three times in a row; one that is dropped there counts wherever it stands outside an added token.
        """
        new = sorted(char for char in set(text) if char not in self._kept and not char.isspace())
        for char in new:
            self._kept[char] = bool(_covered(3, self.spans(char * 3)[1]).all())
        lacking = {char for char in set(text) if not self._kept.get(char, True)}
        if not lacking:
            return {}
        ids, spans = self.spans(text)
        added = spans[np.isin(ids, list(self._tokenizer.get_added_tokens_decoder()))]
        spelt = _covered(len(text), added) if len(added) else np.zeros(len(text), dtype=bool)
        return Counter(char for char, whole in zip(text, spelt.tolist(), strict=True) if char in lacking and not whole)

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """The characters of the stretches that became the unknown token and those that were dropped, with their counts."""
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
        return (
            f"The tokenizer {self.path} fails on this text: {reason}. Use a tokenizer that has a token for every text."
        )

    def _probe(self) -> Cuts:
        """Where texts may be cut, tried on one with every kind of line end: both halves' ids must be those of the whole.

        Whether punctuation joins a newline depends on the vocabulary as well; for that the pre-tokenizer is asked. Where line
        ends do not serve, places before a word's space may.
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
    """Which of `length` characters lie in a span."""
    edges = np.zeros(length + 1, dtype=np.int64)
    np.add.at(edges, spans[:, 0], 1)
    np.add.at(edges, spans[:, 1], -1)
    return np.cumsum(edges)[:-1] > 0


def _tokenizer_file(path: Path) -> tuple[bytes, dict[str, Any]]:
    """A tokenizer file's bytes and the part of it that describes the model."""
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

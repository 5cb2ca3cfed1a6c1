"""Text to tokens: the `Tokenizer` interface, the character tokenizer and tokenizers kept in a file."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import tokenizers
from jaxtyping import Bool, Int
from pydantic import Field

from trimtab.boundary import StrictJsonError, foreign, read_regular, strict_json, user_path
from trimtab.config.schema import FILE_PATH
from trimtab.data.pieces import Cuts, is_exact, parts
from trimtab.data.tokenizer_check import LARGEST, check_tokenizer, unusable
from trimtab.errors import DataError

PAD = 0
"""The id that fills up short examples."""

UNK = 1
"""The character tokenizer's id of a character outside its policy."""

UNKNOWN_MARK = "\ufffd"
"""How an unknown character is shown when decoded: U+FFFD, the replacement character."""

Ids = npt.NDArray[np.unsignedinteger[Any]]

Policy = Literal["printable", "printable_newline_tab", "ascii128"]

_PRINTABLE = "".join(map(chr, range(32, 127)))
_ALPHABETS: dict[Policy, str] = {
    "printable": _PRINTABLE,
    "printable_newline_tab": "\t\n" + _PRINTABLE,
    "ascii128": "".join(map(chr, range(128))),
}

_PART = 1 << 16
_PROBE = (
    'The 1st line\n\n  two = [3, "x9"]\n\tthree: it\'s 12345\nfour,  five;\n\n});\n\n\nÄrger — naïve 7½\n é…\n'
    "\n six\n seven 8\n </i>\n"
    + "".join(f"a{mark}\nb{mark}{mark}\n\n c {mark}\n" for mark in "!#$%&'()*+,-./:<=>?@\\^_`{|}~”—")
)
_WORD_ENDS = [i for i in range(1, len(_PROBE)) if _PROBE[i] == " " and _PROBE[i - 1].isalnum()]


class Tokenizer(Protocol):
    """What turns text into token ids and back. Two tokenizers of one `fingerprint` give the same ids for every text."""

    @property
    def name(self) -> str:
        """The name to show."""

    @property
    def vocabulary(self) -> int:
        """How many ids there are; every id lies in [0, vocabulary)."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides the ids and where an answer ends."""

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest unsigned type that holds every id."""

    @property
    def cuts(self) -> Cuts:
        """Where a long text may be cut so that its pieces' ids are those of the whole."""

    @property
    def end(self) -> int | None:
        """The id that ends an answer; None where the vocabulary has no such token."""

    @property
    def ends(self) -> tuple[int, ...]:
        """The ids that stop generation, `end` first; empty where there is none."""

    def encode(self, text: str) -> Ids:
        """The ids of a text, in `dtype`."""

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of a one-dimensional sequence of ids."""

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """The ids of a text and, for each, where in the text it stands: [start, end) in characters."""

    def texts(self) -> Sequence[str]:
        """The text of every id decoded by itself, in the order of the ids; empty for an id that spells nothing."""

    def unknown_count(self, ids: Ids) -> int:
        """How many of these ids stand for something the vocabulary does not have."""

    def dropped(self, text: str) -> Mapping[str, int]:
        """The characters of a text that are encoded as no token, with their counts."""

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """The characters of a text that become unknown or are dropped, with their counts."""


class CharacterTokenizer:
    """One id a character: `<PAD>` 0, `<UNK>` 1, then the policy's characters in code-point order.

    The vocabulary is 99 for the default policy (tab, newline and printable ASCII 32-126), 97 for `printable` and 130 for
    `ascii128` (code points 0-127). Any other character is `<UNK>`, which decodes to U+FFFD; `<PAD>` decodes to nothing.
    Everything inside the policy round-trips.
    """

    name = "character"
    cuts: Cuts = "anywhere"
    end: int | None = None
    ends: tuple[int, ...] = ()

    def __init__(
        self,
        *,
        policy: Annotated[
            Policy,
            Field(
                description="Which characters have an id: printable ASCII (32-126), that with newline and tab, or all of "
                "ASCII (0-127). The others become <UNK>."
            ),
        ] = "printable_newline_tab",
    ) -> None:
        if policy not in _ALPHABETS:
            raise ValueError(f"policy must be one of {', '.join(_ALPHABETS)}, not {policy!r}")
        self.policy = policy
        self.alphabet = _ALPHABETS[policy]
        self.vocabulary = 2 + len(self.alphabet)
        self.dtype: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint8)
        self.fingerprint = hashlib.sha256(f"character 1 {self.alphabet!r}".encode()).hexdigest()
        table = bytearray([UNK]) * 256
        for index, character in enumerate(self.alphabet):
            table[ord(character)] = 2 + index
        self._ids = bytes(table)
        self._code_points = np.array([0, ord(UNKNOWN_MARK), *map(ord, self.alphabet)], dtype="<u4")

    def encode(self, text: str) -> Ids:
        """The ids of a text, one a character (uint8)."""
        return np.frombuffer(self._codes(text).translate(self._ids), dtype=np.uint8)

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`; raises ValueError for an id outside the vocabulary."""
        array = np.asarray(ids).astype(np.int64, copy=False).reshape(-1)
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < self.vocabulary:
            raise ValueError(f"ids lie in [0, {self.vocabulary}), found {array.min()} to {array.max()}")
        return str(self._code_points[array[array != PAD]].tobytes(), "utf-32-le")

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """The ids of a text and the character that each stands for."""
        starts = np.arange(len(text))
        return self.encode(text), np.stack((starts, starts + 1), axis=1)

    def texts(self) -> Sequence[str]:
        """Nothing for `<PAD>`, U+FFFD for `<UNK>`, then the characters of the policy."""
        return ["", UNKNOWN_MARK, *self.alphabet]

    def unknown_count(self, ids: Ids) -> int:
        """How many of these ids are `<UNK>`."""
        return int(np.count_nonzero(ids == UNK))

    def dropped(self, text: str) -> Mapping[str, int]:
        """None: what is outside the policy becomes `<UNK>`."""
        del text
        return {}

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """The characters outside the policy, with their counts."""
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        found, counts = np.unique(code_points[self.encode(text) == UNK], return_counts=True)
        return {chr(code): int(count) for code, count in zip(found, counts, strict=True)}

    @staticmethod
    def _codes(text: str) -> bytes:
        """A byte a character: its code point, or 128 for anything that is not ASCII."""
        if text.isascii():
            return text.encode("ascii")
        code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        return bytes(np.minimum(code_points, 128).astype(np.uint8))


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

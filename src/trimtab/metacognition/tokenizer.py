"""The tokenizer component `tagged`: another tokenizer with the two tags around a thought."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from jaxtyping import Int
from pydantic import Field

from trimtab.config import REGISTRIES, NestedComponent
from trimtab.data.pieces import Cuts
from trimtab.data.tokenizers import Ids, PretrainedTokenizer, Tokenizer
from trimtab.errors import ConfigError
from trimtab.metacognition.tags import Tags


class Base(NestedComponent):
    """The tokenizer that is given tags."""

    kind: ClassVar[str] = "tokenizer"

    name: Annotated[str, Field(min_length=1, description="the tokenizer")] = "character"


Tag = Annotated[str, Field(min_length=1)]


class TaggedTokenizer:
    """A tokenizer with tags around thoughts, each of one token.

    The tags are new tokens after those of the base. The tokens of a pretrained model are fixed, so its tags must be two of them,
    such as reserved ones. Text never becomes a tag: a tag in a text is encoded as other text is, so that no question can open or
    close a thought. Raises ConfigError for tags that cannot be tokens.
    """

    def __init__(
        self,
        *,
        base: Annotated[Base, Field(description="the tokenizer that is given tags")] = Base(),  # noqa: B008 - frozen
        open: Annotated[Tag, Field(description="the tag that opens a thought")] = "<think>",
        close: Annotated[Tag, Field(description="the tag that closes a thought")] = "</think>",
    ) -> None:
        self.base: Tokenizer = REGISTRIES["tokenizer"].build(base.spec)
        self.name = f"{self.base.name} with tags"
        if open == close:
            raise ConfigError(
                f"data.tokenizer: the tags that open and close a thought must differ, but both are {open!r}."
            )
        self._texts = (open, close)
        if isinstance(self.base, PretrainedTokenizer):
            self.tags = Tags(*(self._own_token(tag) for tag in self._texts))
            self.vocabulary = self.base.vocabulary
        else:
            self.tags = Tags(self.base.vocabulary, self.base.vocabulary + 1)
            self.vocabulary = self.base.vocabulary + 2
        self.dtype: np.dtype[np.unsignedinteger[Any]] = np.min_scalar_type(self.vocabulary - 1)
        self.cuts: Cuts = self.base.cuts
        self.end, self.ends = self.base.end, self.base.ends
        content = f"tagged 1 {self.base.fingerprint} {self._texts!r} {self.tags}"
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()
        self._pattern = re.compile("|".join(map(re.escape, self._texts)))

    def _own_token(self, tag: str) -> int:
        """The token of a pretrained model that is a tag."""
        ids = self.base.encode(tag)
        if len(ids) != 1 or self.base.unknown_count(ids) or len(tag) < 2 or int(ids[0]) in self.base.ends:
            what = "is" if len(ids) == 1 else f"is {len(ids)} tokens"
            raise ConfigError(
                f"data.tokenizer: the tag {tag!r} {what} of {self.base.name}. A tag must be one token, because the model's "
                f"tokens are fixed. Name one that it has and your texts do not use, such as a reserved one: {self._spare()}."
            )
        return int(ids[0])

    def _spare(self) -> str:
        marks = [text for text in self.base.texts() if re.fullmatch(r"<[^<>\s]{3,}>", text)]
        return ", ".join(marks[:6]) or "it has none"

    def encode(self, text: str) -> Ids:
        """The ids of a text; none of them is a tag."""
        return np.concatenate([self.base.encode(part) for _, part in self._parts(text)]).astype(self.dtype)

    def spans(self, text: str) -> tuple[Ids, Int[np.ndarray, "ids 2"]]:
        """The ids of a text and the span of each."""
        parts = [(start, *self.base.spans(part)) for start, part in self._parts(text)]
        ids = np.concatenate([ids for _, ids, _ in parts]).astype(self.dtype)
        return ids, np.concatenate([spans + start for start, _, spans in parts])

    def _parts(self, text: str) -> Iterator[tuple[int, str]]:
        """Pieces of a text in which no tag stands whole, with their places."""
        start = 0
        for match in self._pattern.finditer(text):
            cut = match.start() + 1
            yield start, text[start:cut]
            start = cut
        yield start, text[start:]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of `ids`, with the tags' own texts."""
        array = np.asarray(ids).astype(np.int64, copy=False).reshape(-1)
        texts = dict(zip((self.tags.open, self.tags.close), self._texts, strict=True))
        parts, start = list[str](), 0
        for place in np.flatnonzero(np.isin(array, list(texts))).tolist():
            parts += [self.base.decode(array[start:place]), texts[int(array[place])]]
            start = place + 1
        return "".join([*parts, self.base.decode(array[start:])])

    def texts(self) -> Sequence[str]:
        """The text of every single id."""
        return [*self.base.texts(), *self._texts[: self.vocabulary - self.base.vocabulary]]

    def unknown_count(self, ids: Ids) -> int:
        """The number of ids for something that the vocabulary lacks."""
        return self.base.unknown_count(ids[ids < self.base.vocabulary])

    def dropped(self, text: str) -> Mapping[str, int]:
        """The characters of a text that are encoded as no token."""
        return self.base.dropped(text)

    def unknown_characters(self, text: str) -> Mapping[str, int]:
        """The characters of a text that become unknown tokens or are dropped."""
        return self.base.unknown_characters(text)

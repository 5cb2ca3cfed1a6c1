"""Reports on a run's data: what was read, what was skipped, and which characters the tokenizer lacks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

MOST_FREQUENT = 10
"""The number of unknown characters that a report lists."""

_MANY_UNKNOWN = 0.01  # from this share of the characters on, the report suggests training another tokenizer


class FileEntry(NamedTuple):
    """A file that was read; `size` in bytes."""

    name: str
    size: int


class SkippedFile(NamedTuple):
    """A file of a folder that was left out, and the reason; `size` in bytes."""

    name: str
    size: int
    reason: str


class UnknownCharacter(NamedTuple):
    """A character that the tokenizer lacks, and the number of its occurrences."""

    character: str
    occurrences: int


@dataclass(frozen=True)
class UnknownCharacters:
    """The characters of each split that the tokenizer lacks. They become its unknown token or are dropped without a token.

    `most_frequent` lists at most ten of them, counted over both splits.
    """

    train: int = 0
    validation: int = 0
    most_frequent: tuple[UnknownCharacter, ...] = ()

    @classmethod
    def of(cls, train: Mapping[str, int], validation: Mapping[str, int]) -> Self:
        """The report for the unknown characters of each split with their counts."""
        total = {character: train.get(character, 0) + count for character, count in validation.items()}
        return cls(sum(train.values()), sum(validation.values()), most_frequent({**train, **total}))

    @property
    def total(self) -> int:
        """The unknown characters of both splits."""
        return self.train + self.validation

    def line(self) -> str:
        """The report for people."""
        listed = ", ".join(f"{_visible(entry.character)} x{entry.occurrences:,}" for entry in self.most_frequent)
        count = f"{self.total:,} unknown characters ({self.train:,} to train, {self.validation:,} to validate)"
        return f"{count}, most often: {listed}"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values; characters that cannot be printed are written as code points, U+0080."""
        return {
            "train": self.train,
            "validation": self.validation,
            "most_frequent": [
                {"character": _code_point(entry.character), "occurrences": entry.occurrences}
                for entry in self.most_frequent
            ],
        }


@dataclass(frozen=True)
class CorpusReport:
    """Report on an encoded corpus.

    `characters` are counted as read: without byte order marks, with CRLF as one newline, and including the newlines that join
    files. `unknown_tokens` counts the tokenizer's unknown token, which may represent several characters, and
    `dropped_characters` the characters that are encoded as no token. `inexact_cuts` counts the places where the text was cut for
    encoding although the tokens there may differ from those of the whole text. It is 0 for character and byte-level tokenizers
    and for text with line ends.
    """

    name: str
    files: tuple[FileEntry, ...]
    skipped: tuple[SkippedFile, ...]
    characters: int
    tokens: int
    unknown_tokens: int
    dropped_characters: int
    unknown_characters: UnknownCharacters
    inexact_cuts: int
    train_tokens: int
    validation_tokens: int
    fingerprint: str

    @property
    def unknown_share(self) -> float:
        """Unknown characters as a share of all characters."""
        return self.unknown_characters.total / self.characters if self.characters else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        values = asdict(self)
        values["files"] = [entry._asdict() for entry in self.files]
        values["skipped"] = [entry._asdict() for entry in self.skipped]
        values["unknown_characters"] = self.unknown_characters.to_dict()
        return {**values, "unknown_share": self.unknown_share}

    def lines(self) -> list[str]:
        """The report for people, one line per fact; lists have at most ten entries."""
        size = sum(entry.size for entry in self.files)
        count = f"{len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        lines = [
            f"{self.name}: {count}, {size:,} bytes, {self.characters:,} characters, {self.tokens:,} tokens "
            f"({self.train_tokens:,} to train, {self.validation_tokens:,} to validate)"
        ]
        if self.skipped:
            named = [f"{entry.name} ({entry.reason})" for entry in self.skipped[:10]]
            more = [f"and {len(self.skipped) - 10} more"] if len(self.skipped) > 10 else []
            lines.append(f"{len(self.skipped)} skipped: {'; '.join(named + more)}")
        if self.unknown_characters.total:
            lines.append(
                f"{self.unknown_characters.line()}; {self.unknown_share:.3%} of all characters, with {self.unknown_tokens:,} "
                f"unknown tokens and {self.dropped_characters:,} characters dropped without a token"
            )
        if self.unknown_share >= _MANY_UNKNOWN:
            lines.append(
                "the model can neither read nor write the unknown characters; a tokenizer trained on this text by "
                "`trimtab tokenizer train` has them all"
            )
        if self.inexact_cuts:
            lines.append(
                f"{self.inexact_cuts:,} cuts where the tokens may differ from those of the whole text encoded at once"
            )
        return lines


def most_frequent(counts: Mapping[str, int]) -> tuple[UnknownCharacter, ...]:
    """Returns the most frequent characters, at most `MOST_FREQUENT`; equally frequent ones are in code-point order."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_FREQUENT]
    return tuple(UnknownCharacter(character, count) for character, count in ranked)


def _code_point(character: str) -> str:
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _visible(character: str) -> str:
    return f"'{character}' U+{ord(character):04X}" if character.isprintable() else f"U+{ord(character):04X}"

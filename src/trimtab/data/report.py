"""What was found in a corpus: nothing is left out or replaced without standing here."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

_MANY_UNKNOWN = 0.01  # share of the tokens from which on another tokenizer is worth a word


class FileEntry(NamedTuple):
    """A file that was read; `size` in bytes."""

    name: str
    size: int


class SkippedFile(NamedTuple):
    """A file of a folder that was left out, and why; `size` in bytes."""

    name: str
    size: int
    reason: str


class UnknownCharacter(NamedTuple):
    """A character that the tokenizer does not have, and how often it occurs."""

    character: str
    occurrences: int


@dataclass(frozen=True)
class CorpusReport:
    """The account of one encoded corpus.

    `characters` are counted as read (byte order marks dropped, CRLF one newline, joining newlines included).
    `dropped_characters` counts those that are encoded as no token. `unknown_characters` are the most frequent unknown or dropped
    ones, at most ten. `inexact_cuts` counts the places at which the text was
    cut for encoding although the tokens there may differ from those of the whole text encoded at once (0 for character
    and byte-level tokenizers and text with line ends).
    """

    name: str
    files: tuple[FileEntry, ...]
    skipped: tuple[SkippedFile, ...]
    characters: int
    tokens: int
    unknown_tokens: int
    dropped_characters: int
    unknown_characters: tuple[UnknownCharacter, ...]
    inexact_cuts: int
    train_tokens: int
    validation_tokens: int
    fingerprint: str

    @property
    def unknown_share(self) -> float:
        """Unknown tokens as a share of all tokens."""
        return self.unknown_tokens / self.tokens if self.tokens else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values; lone surrogates and the like are written as U+ code points."""
        values = asdict(self)
        values["files"] = [entry._asdict() for entry in self.files]
        values["skipped"] = [entry._asdict() for entry in self.skipped]
        values["unknown_characters"] = [
            {"character": _code_point(entry.character), "occurrences": entry.occurrences}
            for entry in self.unknown_characters
        ]
        return {**values, "unknown_share": self.unknown_share}

    def lines(self) -> list[str]:
        """The report for people: a line a fact, skipped files and unknown characters by name (at most ten)."""
        size = sum(entry.size for entry in self.files)
        count = f"{len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        found = [
            f"{self.name}: {count}, {size:,} bytes, {self.characters:,} characters, {self.tokens:,} tokens "
            f"({self.train_tokens:,} to train, {self.validation_tokens:,} to validate)"
        ]
        if self.skipped:
            named = [f"{entry.name} ({entry.reason})" for entry in self.skipped[:10]]
            more = [f"and {len(self.skipped) - 10} more"] if len(self.skipped) > 10 else []
            found.append(f"{len(self.skipped)} skipped: {'; '.join(named + more)}")
        unknown = ", ".join(f"{_visible(entry.character)} x{entry.occurrences:,}" for entry in self.unknown_characters)
        dropped_share = self.dropped_characters / max(self.characters, 1)
        if self.unknown_tokens:
            found.append(f"{self.unknown_tokens:,} unknown tokens ({self.unknown_share:.3%}), most often: {unknown}")
        if self.dropped_characters:
            found.append(
                f"{self.dropped_characters:,} unknown characters ({dropped_share:.3%}) that the tokenizer drops without a token, "
                f"most often: {unknown}"
            )
        if max(self.unknown_share, dropped_share) >= _MANY_UNKNOWN:
            found.append(
                "the model can neither read nor write the unknown characters; a tokenizer trained on this text by "
                "`trimtab tokenizer train` has them all"
            )
        if self.inexact_cuts:
            found.append(
                f"{self.inexact_cuts:,} cuts at which the tokens may differ from those of the whole text encoded at once"
            )
        return found


def _code_point(character: str) -> str:
    return character if character.isprintable() else f"U+{ord(character):04X}"


def _visible(character: str) -> str:
    return f"'{character}' U+{ord(character):04X}" if character.isprintable() else f"U+{ord(character):04X}"

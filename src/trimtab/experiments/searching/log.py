"""A search's `events.jsonl`: written once, and compared row by row when the search is repeated."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trimtab.config import RunError, canonical_json
from trimtab.records import JsonlWriter, read_rows, to_json
from trimtab.records.jsonl import JsonlReader
from trimtab.records.search_rows import SearchRow

_CHECK = 16
"""Hexadecimal digits of a row's check."""


def checked(row: Mapping[str, Any], before: str) -> str:
    """The check of a row, after one with the check `before`."""
    return hashlib.sha256((before + canonical_json(to_json(row))).encode()).hexdigest()[:_CHECK]


class SearchLog:
    """The rows of a search that continues.

    The search is repeated from its beginning: each row that it writes is compared with the recorded one, and results are
    taken from the records instead of being measured again. When the recorded rows are used up, further ones are appended. A
    half-written last row is dropped.

    Raises `RunError`, with the line, for a row that was changed after it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recorded: list[dict[str, Any]] = []
        self._check, self._line = "", 0
        self.results: dict[int, dict[str, Any]] = {}
        """Recorded results by the number of the work."""
        self.confirmations: dict[int, dict[str, Any]] = {}
        """Recorded confirmations by seed."""
        if path.exists():
            for plain, row in zip(JsonlReader(path), read_rows(path, SearchRow), strict=True):
                self._take(plain, row)
        self._check = ""
        self._writer = JsonlWriter(path)

    def _take(self, plain: dict[str, Any], row: dict[str, Any]) -> None:
        self._recorded.append(plain)
        given = {key: value for key, value in plain.items() if key != "check"}
        self._check = checked(given, self._check)
        if plain["check"] != self._check:
            raise RunError(
                f"{self.path}, line {len(self._recorded)}: this row, or one before it that is missing, was changed after the "
                "search wrote it. Restore the file from a copy. A search cannot continue from other values than it measured."
            )
        if row["kind"] == "result":
            self.results[row["work"]] = row
        elif row["kind"] == "confirmation":
            self.confirmations[row["seed"]] = row

    @property
    def replaying(self) -> bool:
        """Whether recorded rows are left."""
        return self._line < len(self._recorded)

    def write(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Compare a row with the recorded one, or append it; returns it as JSON values.

        Raises `RunError` where the recorded row is another one.
        """
        plain: dict[str, Any] = to_json(row)
        self._check = checked(plain, self._check)
        plain["check"] = self._check
        if self.replaying:
            recorded = self._recorded[self._line]
            self._line += 1
            if recorded != plain:
                key = next(_differing(recorded, plain))
                raise RunError(
                    f"{self.path}, line {self._line}: the search would now do something else than it did then: {key} was "
                    f"{recorded.get(key)!r} and is {plain.get(key)!r}. An optimiser of another version would explain it. Use "
                    "that version, or start a new search with another --out."
                )
            return plain
        self._writer.write(plain)
        return plain

    def flush(self) -> None:
        """Write what was appended to the disk."""
        self._writer.flush(sync=True)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _differing(recorded: Mapping[str, Any], plain: Mapping[str, Any]) -> Iterator[str]:
    return (key for key in {**recorded, **plain} if recorded.get(key) != plain.get(key))

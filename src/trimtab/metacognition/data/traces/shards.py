"""Files of traces as shards: how many rows each has, and its rows from any place on, without parsing those before it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from trimtab.boundary import foreign, leads_outside, open_regular, path_text, user_path
from trimtab.data.tasks.files import LONGEST_LINE, Row, json_lines_of
from trimtab.data.tasks.hub.folder import check_folder
from trimtab.data.tasks.hub.text_rows import text_rows
from trimtab.errors import DataError
from trimtab.metacognition.data.traces.schemas import COLUMNS

LINES = (".jsonl", ".ndjson")
ENDINGS = (*LINES, ".json", ".parquet")
"""The endings of the files that are read."""

_BATCH = 256


@dataclass(frozen=True)
class Shard:
    """One file of rows; `open` opens it, so it may also be a file of a hub. `local` is its path, if it has one."""

    name: str
    open: Callable[[], BinaryIO]
    local: Path | None = None

    @property
    def _ending(self) -> str:
        return Path(self.name).suffix.lower()

    @cached_property
    def count(self) -> int:
        """The number of rows. Lines are counted and not parsed; a Parquet file says its number; only a JSON list is parsed."""
        try:
            if self._ending == ".parquet":
                return sum(self._groups)
            if self._ending in LINES:
                with self.open() as file:
                    return _lines(file)
            return sum(1 for _ in self.rows())
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error

    def sha256(self) -> str:
        """The SHA-256 of a local file, or the name of another one, which is a URL with a commit."""
        if self.local is None:
            return self.name
        try:
            digest = hashlib.sha256()
            with self.open() as file:
                while part := file.read(1 << 20):
                    digest.update(part)
            return digest.hexdigest()
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error

    def rows(self, start: int = 0) -> Iterator[Row]:
        """The rows from number `start` on. Raises `DataError` for a file that cannot be read."""
        try:
            if self._ending == ".parquet":
                yield from self._table(start)
            elif self._ending in LINES:
                with self.open() as file:
                    yield from json_lines_of(file, self.name, start)
            else:
                if self.local is None:
                    raise self._unreadable("only JSONL and Parquet files are read from a hub")
                yield from islice(text_rows([self.local]), start, None)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error

    @cached_property
    def _groups(self) -> list[int]:
        """The number of rows of each row group of a Parquet file."""
        with self.open() as file, foreign(DataError, lambda reason: str(self._unreadable(reason))):
            import pyarrow.parquet

            metadata = pyarrow.parquet.read_metadata(file)
            return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]

    def _table(self, start: int) -> Iterator[Row]:
        """The rows of a Parquet file; row groups before `start` are not read."""
        first, passed = 0, 0
        while first < len(self._groups) and passed + self._groups[first] <= start:
            passed += self._groups[first]
            first += 1
        groups = list(range(first, len(self._groups)))
        if not groups:
            return
        with self.open() as file:
            with foreign(DataError, lambda reason: str(self._unreadable(reason))):
                import pyarrow.parquet

                table = pyarrow.parquet.ParquetFile(file)
                names = [name for name in table.schema_arrow.names if name in COLUMNS]
                # Threads would keep the order too; without them reading takes no more cores than the run has.
                batches = table.iter_batches(_BATCH, row_groups=groups, columns=names, use_threads=False)
            number = passed
            while True:
                with foreign(DataError, lambda reason: str(self._unreadable(reason))):
                    batch = next(batches, None)
                    values = [] if batch is None else batch.to_pylist()
                if batch is None:
                    return
                for row in values:
                    if number >= start:
                        yield Row(f"{self.name}, row {number}", row)
                    number += 1

    def _unreadable(self, reason: str) -> DataError:
        return DataError(
            f"{self.name} cannot be read: {reason.rstrip('.')}. Check `data.task`, or copy the file again."
        )


def local_shards(path: str, key: str) -> list[Shard]:
    """The files at a path, which is one file or a folder; those of a folder in the order of their names.

    Raises `DataError` where there is nothing to read, for a link out of the folder, and for a Parquet file without its library.
    """
    place = user_path(path, key)
    if place.is_dir():
        check_folder(place)
        files = sorted(
            file
            for file in place.rglob("*")
            if file.suffix.lower() in ENDINGS and file.is_file() and not file.name.startswith((".", "_"))
        )
        files = [file for file in files if not leads_outside(file, place)]
    else:
        files = [place]
    if not files or not files[0].is_file():
        where = "has no such file" if place.is_dir() else "does not exist"
        raise DataError(
            f"{path_text(place)} {where}. Set `{key}` to a file of traces or a folder with {', '.join(ENDINGS)}."
        )
    return [local_shard(file) for file in files]


def local_shard(file: Path) -> Shard:
    """A file of this machine as a shard."""
    check_ending(str(path_text(file)), file.suffix)
    return Shard(str(path_text(file)), partial(open_regular, file), file)


def check_ending(name: str, ending: str) -> None:
    """Raises `DataError` for a file of another kind, and for a Parquet file without the library that reads it."""
    if ending.lower() not in ENDINGS:
        raise DataError(
            f"{name} has an unsupported format: traces are in {', '.join(ENDINGS)} files. Unpack or convert it."
        )
    if ending.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise DataError(f"{name} is a Parquet file, which needs the package pyarrow: pip install 'trimtab[tasks]'.")


def _lines(file: BinaryIO) -> int:
    """The lines of a file that are not blank, as `json_lines_of` counts them."""
    count, first = 0, True
    while line := file.readline(LONGEST_LINE + 1):
        too_long = len(line) > LONGEST_LINE
        while too_long and line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        count += too_long or bool((line.removeprefix(b"\xef\xbb\xbf") if first else line).strip())
        first = False
    return count

"""Real data files shared by tests, and small files of rows."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(os.environ.get("TRIMTAB_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


def shared_file(name: str) -> Path:
    """Returns a real file or folder of the shared folder; skips the test if it does not exist."""
    if not (path := SHARED / name).exists():
        pytest.skip(f"there is no {path}: set TRIMTAB_SHARED_DATA to the folder of real files")
    return path


def write_rows(path: Path, rows: list[Any]) -> str:
    """Writes rows as JSON lines; bytes are written unchanged."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)

"""How a manifest is shown, in the reports of experiments and of memory runs alike."""

import json
from typing import Any


def commit(git_commit: str | None, git_dirty: bool | None) -> str:
    """The commit of the code that ran."""
    shown = git_commit or "unknown"
    return f"{shown}, with uncommitted changes" if git_dirty else shown


def plain(value: Any) -> str:
    """A value of a manifest as text: a list of texts with commas, anything else as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

"""Names of folders and files made from values that a user or a file chose."""

import hashlib
import os
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]+")
_LONGEST = 80


def folder_name(value: object) -> str:
    """A readable name for one folder, safe on every file system; different texts have different names.

    A text of at most 80 letters, digits and `._=,+-` that does not begin with a dot is its own name. Any other is shortened,
    each run of other characters becomes one `_`, and the first 8 hex digits of its SHA-256 follow after `~`, which no plain
    name holds.
    """
    text = str(value)
    safe = _UNSAFE.sub("_", text).lstrip(".")
    if safe == text and 0 < len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: _LONGEST - 9] or '_'}~{digest}"


def is_plain_name(name: object) -> bool:
    """Whether `name` can name an entry of a folder: text without a separator or NUL that is not `.` or `..`.

    A lone surrogate is allowed where it represents a byte of a name that is not UTF-8, as `os.listdir` gives it.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or any(char in name for char in "/\\\0"):
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True

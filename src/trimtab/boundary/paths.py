"""Paths that a user wrote in a config, an option or a variable of the environment."""

import os
from pathlib import Path

from trimtab.boundary.text import printable, shortened
from trimtab.errors import ConfigError


def user_path(text: str | Path, key: str | None = None) -> Path:
    """The path that `text` names, with a leading `~` or `~user` replaced by the home folder. It need not exist.

    Raises `ConfigError`, which names the config's `key` where there is one, where no file can have that path: it is empty, a
    name in it is too long, it holds a NUL or what is not Unicode, a folder on the way is closed to this user, or the home
    folder is not known.
    """
    shown = shortened(printable(text), 200)
    at = f"{key}: " if key else ""
    if not str(text):
        raise ConfigError(f"{at}The path is empty. Name a file or a folder; . is the working folder.")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{at}The path {shown} begins with ~, and that home folder is not known (is HOME set?). Write the path out."
        ) from error
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise ConfigError(f"{at}The path {shown} cannot be used: {error.strerror}. Choose another.") from error
    except ValueError as error:
        raise ConfigError(
            f"{at}The path {shown} cannot be used: it holds a character that no name can have. Choose another."
        ) from error
    return path


def path_text(path: Path) -> str:
    """Returns a path as text for messages and JSON; bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

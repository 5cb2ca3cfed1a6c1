"""Where the files of a pretrained model are: a folder, a GGUF file, an imported model's name, or a hub id if allowed."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trimtab.boundary import user_path
from trimtab.config.schema import FILE_PATH
from trimtab.errors import ConfigError

HUB = "hub:"
"""How a resolved config marks a path that is an id on the Hugging Face hub."""

ModelPath = Annotated[
    str,
    Field(
        min_length=1,
        description="The model's folder (config.json and *.safetensors), a .gguf file, or the name of an imported model "
        "(`trimtab models list`).",
        json_schema_extra=FILE_PATH,
    ),
]
"""The parameter `path` of components that read a pretrained model's files."""

AllowHub = Annotated[
    bool,
    Field(description="Whether `path` may be an id on the Hugging Face hub (owner/name), which is then fetched."),
]
"""The parameter `allow_hub` of those components."""

_BARE = re.compile(r"[\w][\w.-]*")
_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


def cache_folder() -> Path:
    """What Trimtab keeps for a user: $TRIMTAB_CACHE, else $XDG_CACHE_HOME/trimtab, else ~/.cache/trimtab."""
    if own := os.environ.get("TRIMTAB_CACHE"):
        return user_path(own, "TRIMTAB_CACHE")
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    base, key = (Path(xdg), "XDG_CACHE_HOME") if Path(xdg).is_absolute() else (Path("~/.cache"), None)
    try:
        return user_path(base / "trimtab", key)
    except ConfigError as error:
        raise ConfigError(
            f"{error} Trimtab keeps its cache there unless the variable TRIMTAB_CACHE names another folder."
        ) from error


def imported_models() -> Path:
    """The folder that holds the imported models, one folder each."""
    return cache_folder() / "models"


def expanded_path(parameters: dict[str, Any]) -> dict[str, Any]:
    """A component's parameters with `path` as a resolved config has it: for the `expand` hook.

    A bare name becomes the folder of the imported model of that name, if there is one; write `./name` for a folder of that
    name here. With `allow_hub`, `owner/name` becomes `hub:owner/name` where no such folder exists. Anything else stays.
    """
    path = parameters.get("path")
    if not isinstance(path, str):
        return parameters  # validation reports a wrong type
    if _BARE.fullmatch(path) and (folder := (imported_models() / path).absolute()).is_dir():
        return {**parameters, "path": str(folder)}
    if parameters.get("allow_hub") is True and _HUB_ID.fullmatch(path) and not Path(path).exists():
        return {**parameters, "path": HUB + path}
    return parameters


def as_hub_id(path: str) -> str | None:
    """The hub id that a `path` with `allow_hub: true` may mean, `hub:owner/name`; None for what can only be a path."""
    return HUB + path.removeprefix(HUB) if _HUB_ID.fullmatch(path.removeprefix(HUB)) else None


def check_hub(parameters: dict[str, Any]) -> None:
    """For the `check` hook: a hub id needs `allow_hub`.

    Raises:
        ValueError: one sentence that names the key.
    """
    path = parameters["path"]
    if path.startswith(HUB) and not parameters["allow_hub"]:
        raise ValueError(f"path: {path} is an id on the Hugging Face hub; set allow_hub to true to let it be fetched")
    if path.startswith(HUB) and not _HUB_ID.fullmatch(path.removeprefix(HUB)):
        raise ValueError(f"path: a hub id is written {HUB}owner/name, found {path}")


class ModelPathComponent:
    """Base of components with the parameters `path` and `allow_hub`: the registry's hooks for them."""

    @classmethod
    def expand(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """`parameters` with an imported model's name replaced by its folder."""
        return expanded_path(parameters)

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse a hub id that is not allowed.

        Raises:
            ValueError: one sentence that names the key.
        """
        check_hub(parameters)

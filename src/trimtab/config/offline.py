"""The Hugging Face libraries, kept from the network; a model is fetched from their hub only where a config allows it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from trimtab.boundary import foreign, printable, shortened, user_path
from trimtab.config.model_paths import HUB
from trimtab.errors import ConfigError, WorkError

_TRUE = {"1", "ON", "YES", "TRUE"}
_OURS = "TRIMTAB_SWITCHED_THE_HUB_OFF"
"""Set together with HF_HUB_OFFLINE if the user did not set that; subprocesses inherit both."""

_FETCH = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], allow_patterns=["*.safetensors", "*.json", "*.jinja"]))
"""


def offline_import(name: str) -> ModuleType:
    """Import a module of the extra `pretrained`, with the hub switched off and without its progress bars.

    The switches are environment variables that the libraries read when they are first imported, so they go to
    subprocesses too. Raises ConfigError when the extra is not installed.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() not in _TRUE:
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ[_OURS] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Pretrained models need the package {error.name}, which is not installed. "
            "Install it: pip install 'trimtab[pretrained]'."
        ) from error
    if name == "transformers":
        module.utils.logging.disable_progress_bar()
        module.utils.logging.set_verbosity_error()
    return module


def is_here(path: str) -> bool:
    """Whether the model that a resolved `path` names needs no fetching. Raises ConfigError for a hub id without the extra."""
    return not path.startswith(HUB) or _cached(offline_import("huggingface_hub"), path.removeprefix(HUB)) is not None


def local_folder(path: str) -> Path:
    """The folder or file that a resolved `path` names; a `hub:` id is fetched first, if it is not here already.

    A process of its own fetches, so that this one never reaches for the network. Raises ConfigError without the extra and
    WorkError when the hub does not give the model.
    """
    if not path.startswith(HUB):
        return user_path(path)
    hub = offline_import("huggingface_hub")
    name = path.removeprefix(HUB)
    if (cached := _cached(hub, name)) is not None:
        return cached
    if _OURS not in os.environ:
        raise WorkError(
            f"The model {name} is not in the hub's cache here, and HF_HUB_OFFLINE prevents fetching it. Unset that "
            "variable, or copy the model's folder here and name the folder."
        )
    online = {**os.environ, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _FETCH, name], env=online, capture_output=True, text=True, check=False
    )
    fetched = done.stdout.strip().splitlines()
    if done.returncode or not fetched:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise WorkError(
            f"The model {name} could not be fetched from the Hugging Face hub: {shortened(printable(reason[0]), 300)} Check the "
            "id and the network, or copy the model's folder here and name the folder."
        )
    return Path(fetched[-1])


def _cached(hub: ModuleType, name: str) -> Path | None:
    """The folder of a model in the hub's cache, or None where it is not there."""
    with foreign(
        ConfigError,
        lambda reason: f"The hub's cache cannot be searched for {name}: {reason}. Check the id and the cache.",
    ):
        try:
            return Path(hub.snapshot_download(name, local_files_only=True))
        except hub.errors.LocalEntryNotFoundError:
            return None

"""A temporary folder with exactly what loading may read: the config as it was checked, and links to the weights.

transformers looks for a dozen further files in a model's folder, an adapter and Python code among them. Here it finds none, so
that nothing but what the fingerprint covers can change a model.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open

from trimtab.errors import WorkError
from trimtab.models.pretrained.files import ModelFiles


@contextmanager
def staged(files: ModelFiles) -> Iterator[Path]:
    """A folder for transformers to load `files` from, for as long as the block runs. Raises WorkError when it cannot be made."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="trimtab-", ignore_cleanup_errors=True)
    except OSError as error:
        raise WorkError(f"No temporary folder can be made: {error.strerror}. Free some space there.") from error
    with temporary as name:
        folder = Path(name)
        if files.gguf is not None:
            (folder / files.gguf).symlink_to(os.path.realpath(files.weights[0]))
        else:
            (folder / "config.json").write_text(json.dumps(files.config))
            _link_weights(files.weights, folder)
        yield folder


def _link_weights(weights: tuple[Path, ...], folder: Path) -> None:
    if len(weights) == 1:
        (folder / "model.safetensors").symlink_to(os.path.realpath(weights[0]))
        return
    places: dict[str, str] = {}
    for number, path in enumerate(weights):
        name = f"model-{number:05d}.safetensors"
        (folder / name).symlink_to(os.path.realpath(path))
        with safe_open(path, "pt") as file:
            places.update(dict.fromkeys(file.keys(), name))
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

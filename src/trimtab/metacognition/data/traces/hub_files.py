"""Files of traces of a data set on the Hugging Face hub, which are read in place and need not be downloaded as a whole."""

from functools import partial
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from trimtab.boundary import foreign
from trimtab.data.tasks.hub.library import cache, library
from trimtab.errors import DataError
from trimtab.metacognition.data.traces.shards import Shard, check_ending


def check_source(path: str | None, dataset: str | None, allow_hub: bool) -> None:
    """Raises ValueError for a source that is named twice or not at all, and for one that may not be downloaded."""
    if (dataset is None) == (path is None):
        raise ValueError("set either `path`, a file or folder of traces, or `dataset`, an id on the hub")
    if dataset is not None and not allow_hub:
        raise ValueError(
            f"the data set '{dataset}' would be read from the Hugging Face hub, which is not allowed: set `allow_hub: true`, or "
            "set `path` to a folder that contains it"
        )
    if dataset is not None and find_spec("datasets") is None:
        raise ValueError("the package datasets is not installed: pip install 'trimtab[tasks]'")


def hub_shards(dataset: str, subset: str | None, revision: str | None, split: str) -> list[Shard]:
    """The files of a split of a data set on the hub, at the newest commit of `revision`. Raises `DataError`."""

    def worded(reason: str) -> str:
        return (
            f"The split {split} of the data set {dataset} cannot be opened: {reason}. Check `data.task`: its `dataset`, "
            "`subset`, `revision` and `train_split`, and the network."
        )

    with library(True), foreign(DataError, worded):
        import datasets

        builder = datasets.load_dataset_builder(dataset, subset, revision=revision, cache_dir=cache())
    return builder_shards(builder, split, dataset)


def builder_shards(builder: Any, split: str, dataset: str) -> list[Shard]:
    """The files of a split that a builder of the `datasets` library found."""
    by_split = builder.config.data_files or {}
    if split not in by_split:
        raise DataError(
            f"The data set {dataset} has no split {split!r}; it has {', '.join(map(str, by_split)) or 'none'}. Set "
            "`data.task.train_split`."
        )
    return [url_shard(str(url)) for url in by_split[split]]


def url_shard(url: str) -> Shard:
    """A file at a URL as a shard. The URL of a file on the hub names its commit, so it stands for the content."""
    check_ending(url, PurePosixPath(url).suffix)
    return Shard(url, partial(_open, url))


def _open(url: str) -> BinaryIO:
    def worded(reason: str) -> str:
        return f"{url} cannot be opened: {reason}. Check the network."

    with foreign(DataError, worded):
        import fsspec
        import huggingface_hub  # noqa: F401 - it registers the protocol hf:

        system, path = fsspec.url_to_fs(url)
        file: BinaryIO = system.open(path, "rb")
    return file

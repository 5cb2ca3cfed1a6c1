"""The task `hub`: prompts and answers from a data set of the Hugging Face `datasets` library, local or from the hub."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trimtab.boundary import foreign, leads_outside, path_text, user_path
from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import OnBadRow, Row
from trimtab.data.tasks.files.keyed_rows import (
    AcceptedKey,
    AnswerKey,
    KeyedRowTask,
    LevelKey,
    Match,
    OptionsKey,
    ProbabilitiesKey,
    PromptKey,
    RowReader,
    UncertaintyKey,
)
from trimtab.data.tasks.hub.folder import check_folder, saved_split, settings_file
from trimtab.data.tasks.hub.library import cache, library, with_short_floats
from trimtab.data.tasks.hub.text_rows import TYPED, text_format, text_rows
from trimtab.errors import ConfigError, DataError


class Hub(KeyedRowTask):
    """A data set that the `datasets` library can read; its rows are used like those of `jsonl`.

    `path` is a folder written by `save_to_disk`, or one with JSON lines, Parquet or CSV files, and is read without the network.
    `dataset` is an id on the Hugging Face hub and requires `allow_hub: true`. Code in a data set is never run. With
    `validation_split: null`, the rows of `train_split` are split by the hashes of their questions.
    """

    name = "hub"

    def __init__(
        self,
        *,
        dataset: Annotated[
            str | None, Field(description="id of a data set on the hub, for example openai/gsm8k")
        ] = None,
        path: Annotated[
            str | None, Field(description="folder with a data set, instead of an id", json_schema_extra=FILE_PATH)
        ] = None,
        subset: Annotated[str | None, Field(description="configuration of the data set, if it has several")] = None,
        revision: Annotated[
            str | None, Field(description="commit, branch or tag of the data set on the hub; null is the newest")
        ] = None,
        train_split: Annotated[str, Field(min_length=1, description="split for training")] = "train",
        validation_split: Annotated[
            str | None, Field(min_length=1, description="split for validation; null uses a fifth of `train_split`")
        ] = None,
        allow_hub: Annotated[bool, Field(description="whether the data set may be downloaded")] = False,
        prompt_key: PromptKey = "prompt",
        answer_key: AnswerKey = "answer",
        accepted_key: AcceptedKey = None,
        uncertainty_key: UncertaintyKey = None,
        options_key: OptionsKey = None,
        probabilities_key: ProbabilitiesKey = None,
        level_key: LevelKey = None,
        match: Match = "normalised",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        self.dataset, self.path, self.subset, self.revision = dataset, path, subset, revision
        self.allow_hub = allow_hub
        try:
            _check_source(dataset, path, allow_hub)
        except ValueError as error:
            raise ConfigError(f"data.task: {error}.") from error
        reader = RowReader(
            prompt_key=prompt_key,
            answer_key=answer_key,
            match=match,
            accepted_key=accepted_key,
            uncertainty_key=uncertainty_key,
            options_key=options_key,
            probabilities_key=probabilities_key,
            level_key=level_key,
        )
        validation = None if validation_split is None else partial(self._rows, validation_split)
        super().__init__(partial(self._rows, train_split), validation, on_bad_row, reader)

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for a data set that may not be downloaded, and for keys that do not fit together."""
        _check_source(parameters["dataset"], parameters["path"], parameters["allow_hub"])
        super().check(parameters)

    def _rows(self, split: str) -> Iterator[Row]:
        table = self._source(split)
        if isinstance(table, Iterator):
            yield from table
            return
        columns = [name for name in table.column_names if any(key.split(".")[0] == name for key in self.reader.keys)]
        columns += [key for key in self.reader.keys if key in table.column_names and key not in columns]
        if not columns:
            raise DataError(
                f"The split {split} of {self._display_name} has the columns {', '.join(table.column_names)}, but none of the "
                "configured keys. Set `data.task.prompt_key` and `data.task.answer_key`."
            )
        # Other columns, which may be images, are not decoded.
        rows = iter(table.select_columns(columns))
        for number in range(len(table)):
            where = f"{self._display_name}, split {split}, row {number}"
            with foreign(DataError, partial(_unreadable, where)):
                values = next(rows)
            yield Row(where, with_short_floats(values, table.features))

    def _source(self, split: str) -> Any:
        """The rows of a split: an iterator over its text files, or its table from the `datasets` library."""
        with library(self.allow_hub and self.path is None):
            import datasets

            if self.path is not None:
                check_folder(folder := self._folder())
                if (saved := saved_split(folder, split)) is not None:
                    with foreign(DataError, partial(self._not_loaded, split)):
                        return datasets.load_from_disk(str(saved))
            with foreign(DataError, partial(self._not_loaded, split)):
                builder = datasets.load_dataset_builder(
                    self.dataset if self.path is None else str(folder),
                    self.subset,
                    revision=self.revision if self.path is None else None,
                    cache_dir=cache(),
                )
            files = self._files(builder, split)
            if all(Path(file).suffix.lower() in TYPED for file in files):
                with foreign(DataError, partial(self._not_loaded, split)):
                    builder.download_and_prepare()
                    return builder.as_dataset(split=split)
            separator, under = text_format(builder.config, self._card)
            if self.path is None:
                with foreign(DataError, partial(self._not_loaded, split)):
                    files = datasets.DownloadManager(
                        download_config=datasets.DownloadConfig(cache_dir=cache())
                    ).download(list(files))
            return text_rows(
                [Path(file) for file in files],
                separator=separator,
                under=under,
                numbers=[key for key in (self.reader.level_key, self.reader.uncertainty_key) if key is not None],
                optional=self.reader.accepted_key,
                columns=[self.reader.prompt_key, self.reader.answer_key],
            )

    def _folder(self) -> Path:
        folder = user_path(str(self.path), "data.task.path")
        if not folder.is_dir():
            raise DataError(f"There is no folder {self.path}. Set `data.task.path` to a folder with a data set.")
        return folder

    def _files(self, builder: Any, split: str) -> list[str]:
        """The data files of a split. Raises DataError for a split without files, and for a file outside the folder."""
        by_split = builder.config.data_files or {}
        if split not in by_split:
            raise DataError(
                self._not_loaded(split, f"it has no split {split!r}; it has {', '.join(map(str, by_split)) or 'none'}")
            )
        # The library prepares all splits in order to read one.
        for file in (str(file) for files in by_split.values() for file in files):
            if self.path is not None and ("://" in file or leads_outside(Path(file), self._folder())):
                raise DataError(self._not_loaded(split, f"it names the file {file}, which is outside the folder"))
        return [str(file) for file in by_split[split]]

    def _not_loaded(self, split: str, reason: str) -> str:
        card = None if self.path is None else settings_file(self._folder())
        settings = f"the settings in {path_text(card)}, and " if card is not None and card.is_file() else ""
        return (
            f"The split {split} of {self._display_name} cannot be loaded: {reason}. Check {settings}`data.task`: its `dataset` "
            "or `path`, `subset`, and the names of the splits."
        )

    @property
    def _card(self) -> str:
        return (
            f"README.md of {self._display_name}" if self.path is None else str(path_text(settings_file(self._folder())))
        )

    @property
    def _display_name(self) -> str:
        return f"the data set {self.path or self.dataset}"


def _unreadable(where: str, reason: str) -> str:
    return f"{where} cannot be read: {reason}. Copy the data set again."


def _check_source(dataset: str | None, path: str | None, allow_hub: bool) -> None:
    """Raises ValueError for errors that can be detected without the library."""
    if (dataset is None) == (path is None):
        raise ValueError("set either `path`, a folder with a data set, or `dataset`, an id on the hub")
    if dataset is not None and not allow_hub:
        raise ValueError(
            f"the data set '{dataset}' would be downloaded from the Hugging Face hub, which is not allowed: set `allow_hub: "
            "true`, or set `path` to a folder that contains it"
        )
    if find_spec("datasets") is None:
        raise ValueError("the package datasets is not installed: pip install 'trimtab[tasks]'")

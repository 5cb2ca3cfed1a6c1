"""Prompts and answers from a data set of the Hugging Face `datasets` library, on this disk or from the hub."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trimtab.boundary import foreign, leads_outside, user_path
from trimtab.config.schema import FILE_PATH
from trimtab.data.files import shown
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
from trimtab.data.tasks.hub.text_files import TYPED, text_format, text_rows
from trimtab.errors import ConfigError, DataError


class Hub(KeyedRowTask):
    """A data set that the `datasets` library reads, its rows taken as those of `jsonl` are.

    `path` is a folder that `save_to_disk` wrote or one of JSON lines, Parquet or CSV files, and never touches the network;
    `dataset` is an id of the Hugging Face hub, which only `allow_hub: true` may ask. Code that comes with a data set is not
    run. With `validation_split: null` the rows of `train_split` are split by the questions' hashes.
    """

    name = "hub"

    def __init__(
        self,
        *,
        dataset: Annotated[str | None, Field(description="the id of a data set of the hub, openai/gsm8k say")] = None,
        path: Annotated[
            str | None, Field(description="a folder with a data set, instead of an id", json_schema_extra=FILE_PATH)
        ] = None,
        subset: Annotated[str | None, Field(description="the data set's configuration, where it has several")] = None,
        revision: Annotated[
            str | None, Field(description="the commit, branch or tag of the hub's data set; null is its newest")
        ] = None,
        train_split: Annotated[str, Field(min_length=1, description="the split that trains")] = "train",
        validation_split: Annotated[
            str | None, Field(min_length=1, description="the split that validates; null takes a fifth of `train_split`")
        ] = None,
        allow_hub: Annotated[bool, Field(description="true lets the data set come over the network")] = False,
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
            _refuse(dataset, path, allow_hub)
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
        held = None if validation_split is None else partial(self._rows, validation_split)
        super().__init__(partial(self._rows, train_split), held, on_bad_row, reader)

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """The hub is not asked without leave, and keys must fit together."""
        _refuse(parameters["dataset"], parameters["path"], parameters["allow_hub"])
        super().check(parameters)

    def _rows(self, split: str) -> Iterator[Row]:
        source = self._source(split)
        if isinstance(source, Iterator):
            yield from source
            return
        table = source
        columns = [name for name in table.column_names if any(key.split(".")[0] == name for key in self.reader.keys)]
        columns += [key for key in self.reader.keys if key in table.column_names and key not in columns]
        if not columns:
            raise DataError(
                f"The split {split} of {self._shown} has the columns {', '.join(table.column_names)}, none of which is asked "
                "for. Set `data.task.prompt_key` and `data.task.answer_key`."
            )
        # Other columns are not decoded: they may be pictures.
        rows = iter(table.select_columns(columns))
        for number in range(len(table)):
            where = f"{self._shown}, split {split}, row {number}"
            with foreign(DataError, partial(_unreadable, where)):
                values = next(rows)
            yield Row(where, with_short_floats(values, table.features))

    def _source(self, split: str) -> Any:
        """An iterator over the rows of a split's text files, or its table as the `datasets` library reads it."""
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
                wanted=[self.reader.prompt_key, self.reader.answer_key],
            )

    def _folder(self) -> Path:
        place = user_path(str(self.path), "data.task.path")
        if not place.is_dir():
            raise DataError(f"There is no folder {self.path}. Name one with a data set in `data.task.path`.")
        return place

    def _files(self, builder: Any, split: str) -> list[str]:
        """The data files of a split. Raises DataError for a split without any and for one outside the folder."""
        known = builder.config.data_files or {}
        if split not in known:
            raise DataError(
                self._not_loaded(split, f"it has no split {split!r}; it has {', '.join(map(str, known)) or 'none'}")
            )
        # The library prepares all splits to read one.
        for file in (str(file) for files in known.values() for file in files):
            if self.path is not None and ("://" in file or leads_outside(Path(file), self._folder())):
                raise DataError(self._not_loaded(split, f"it names the file {file}, which is outside the folder"))
        return [str(file) for file in known[split]]

    def _not_loaded(self, split: str, reason: str) -> str:
        card = None if self.path is None else settings_file(self._folder())
        settings = f"the settings in {shown(card)}, and " if card is not None and card.is_file() else ""
        return (
            f"The split {split} of {self._shown} cannot be loaded: {reason}. Check {settings}`data.task`: its `dataset` or "
            "`path`, `subset`, and the names of the splits."
        )

    @property
    def _card(self) -> str:
        return f"README.md of {self._shown}" if self.path is None else str(shown(settings_file(self._folder())))

    @property
    def _shown(self) -> str:
        return f"the data set {self.path or self.dataset}"


def _unreadable(where: str, reason: str) -> str:
    return f"{where} cannot be read: {reason}. Copy the data set anew."


def _refuse(dataset: str | None, path: str | None, allow_hub: bool) -> None:
    """Raise ValueError for what can be told to be wrong without the library."""
    if (dataset is None) == (path is None):
        raise ValueError("give either `path`, a folder with a data set, or `dataset`, an id of the hub")
    if dataset is not None and not allow_hub:
        raise ValueError(
            f"the data set '{dataset}' would come from the Hugging Face hub, over the network, which is only done when asked "
            "for: set `allow_hub: true`, or give the `path` of a folder that has it"
        )
    if find_spec("datasets") is None:
        raise ValueError("the package datasets is not installed: pip install 'trimtab[tasks]'")

"""ARC-AGI in its own format: grids whose rule is shown by a few demonstrations."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.boundary import json_type_name, leads_outside, path_text, user_path
from trimtab.config.schema import FILE_PATH
from trimtab.data.tasks.files import BadRowError, Row, existing_file, value_of
from trimtab.errors import DataError
from trimtab.memory.pairs.json_file import json_content
from trimtab.memory.pairs.pair import LoadedPairs, Pair, safe_id
from trimtab.memory.pairs.reading import EmptyPairError, OnBadRow, read_pairs

_EXPECTED = "a folder of ARC-AGI's task files, or one file with all of them ({id: task})"


class Arc:
    """Tasks of ARC-AGI 1 and 2 (Chollet 2019; Chollet et al. 2025) from the official JSON, one pair per test input.

    A grid has one line per row, digits without spaces. The question has the demonstrations, each `INPUT\\n=\\nOUTPUT` and a blank
    line, then `TEST INPUT\\n=`; the answer is the test output. The id of a pair is `TASK_0`: the task's id and the number
    of the test input.
    """

    name = "arc"

    def __init__(
        self,
        *,
        path: Annotated[
            str,
            Field(
                min_length=1,
                description="the folder of the task files, or one JSON file with all tasks by id",
                json_schema_extra=FILE_PATH,
            ),
        ],
        solutions_path: Annotated[
            str | None,
            Field(
                description="a JSON file with the test outputs by task id, if the task files have none",
                json_schema_extra=FILE_PATH,
            ),
        ] = None,
        demonstrations: Annotated[
            Literal["all", "none"] | Annotated[int, Field(ge=1)],
            Field(description="how many of a task's demonstrations are in the question, from the first"),
        ] = "all",
        on_bad_row: OnBadRow = "error",
    ) -> None:
        self.path, self.solutions_path, self.on_bad_row = path, solutions_path, on_bad_row
        self.demonstrations = demonstrations

    def read(self, count: int | None, seed: int) -> LoadedPairs:
        """See `PairSource.read`."""
        return read_pairs(self.name, self._rows(), self._pair, on_bad_row=self.on_bad_row, count=count, seed=seed)

    def _rows(self) -> Iterator[Row]:
        """One row per test input: the task's id, its demonstrations, the number and content of the test, and its solution."""
        solutions: Mapping[str, Any] = {}
        if self.solutions_path is not None:
            solutions = _document(
                existing_file(self.solutions_path, "pairs.solutions_path", "a JSON file {id: [grid]},")
            )
        for name, (where, task) in _tasks(self.path):
            try:
                if isinstance(task, BadRowError):
                    raise task
                train, tests = _listed(value_of(task, "train"), "train"), _listed(value_of(task, "test"), "test")
                outputs = _listed(solutions[name], "its solutions") if name in solutions else []
            except BadRowError as error:
                yield Row(where, error)
                continue
            for index, test in enumerate(tests):
                solution = {"output": outputs[index]} if index < len(outputs) else {}
                yield Row(where, {"id": name, "train": train, "index": index, "test": test, "solution": solution})

    def _pair(self, values: Mapping[str, Any]) -> Pair:
        index = values["index"]
        shown_count = {"all": None, "none": 0}.get(str(self.demonstrations), self.demonstrations)
        parts = []
        for number, pair in enumerate(values["train"][:shown_count]):
            inputs, outputs = (_grid(pair, side, f"train[{number}]") for side in ("input", "output"))
            parts.append(f"{inputs}\n=\n{outputs}\n\n")
        test = {**_object(values["test"], f"test[{index}]"), **values["solution"]}
        if "output" not in test:
            raise BadRowError(
                f"test[{index}] has no 'output'; name the file of solutions in `pairs.solutions_path`, if there is one"
            )
        question = f"{''.join(parts)}{_grid(test, 'input', f'test[{index}]')}\n="
        answer = _grid(test, "output", f"test[{index}]")
        metadata = {"task": values["id"], "test": index, "demonstrations": len(parts)}
        return Pair(safe_id(f"{values['id']}_{index}"), question, answer, (answer,), metadata, exact=True)


def _tasks(path: str) -> Iterator[tuple[str, Row]]:
    """Every task with its id, in the order of the ids."""
    if path and (folder := user_path(path, "pairs.path")).is_dir():
        files = sorted(file for file in folder.iterdir() if file.suffix == ".json")
        if not files:
            raise DataError(
                f"The folder {path_text(folder)} contains no .json file. Name {_EXPECTED}, in `pairs.path`."
            )
        for file in files:
            try:
                if leads_outside(file, folder):
                    raise BadRowError("it is a link to a file outside the folder; replace it by a copy")
                yield file.stem, Row(path_text(file), _object(json_content(file), "it"))
            except BadRowError as error:
                yield file.stem, Row(path_text(file), error)
        return
    file = existing_file(path, "pairs.path", f"{_EXPECTED},")
    document = _document(file)
    if isinstance(document.get("train"), list) and isinstance(document.get("test"), list):
        yield file.stem, Row(path_text(file), document)
        return
    for name in sorted(document):
        where, task = f"{path_text(file)}: {name}", document[name]
        valid = isinstance(task, dict)
        yield name, Row(where, task if valid else BadRowError(f"it is {json_type_name(task)} where a task is needed"))


def _document(file: Path) -> Mapping[str, Any]:
    try:
        return _object(json_content(file), "it")
    except BadRowError as error:
        raise DataError(f"{path_text(file)}: {error}. Name {_EXPECTED}, in `pairs.path`.") from error


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadRowError(f"{name} is {json_type_name(value)} where an object is needed")
    return value


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadRowError(f"{name} is {json_type_name(value)} where a list is needed")
    return value


def _grid(holder: Any, side: str, where: str) -> str:
    """The text of a grid. Raises `EmptyPairError` for a grid without cells and `BadRowError` for an invalid one."""
    name = f"{where}.{side}"
    rows = _listed(value_of(_object(holder, where), side), name)
    if not any(rows):
        raise EmptyPairError(f"{name} is empty")
    lines = []
    for number, row in enumerate(rows):
        for column, cell in enumerate(_listed(row, f"{name}[{number}]")):
            if type(cell) is not int or not 0 <= cell <= 9:
                raise BadRowError(f"{name}[{number}][{column}] is {cell!r:.40} where a digit from 0 to 9 is needed")
        lines.append("".join(map(str, row)))
    if len({len(line) for line in lines}) > 1:
        widths = ", ".join(str(len(line)) for line in lines[:8])
        raise BadRowError(f"{name} has rows of different lengths ({widths})")
    return "\n".join(lines)

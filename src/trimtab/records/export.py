"""Views of a run for other programs: CSV tables and TensorBoard events, rebuilt at any time from the records."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from trimtab.boundary import NotRegularFileError, csv_cell, inside, printable, read_regular
from trimtab.errors import ConfigError, RunError
from trimtab.records.atomic import atomic_directory, clean_leftovers, write_json, write_text
from trimtab.records.failures import refused_place
from trimtab.records.run_directory import RunDirectory
from trimtab.records.values import NON_FINITE, flatten, is_number, parse_json, to_json

MARKER = ".trimtab-export.json"
"""Lies in an exported folder and names its run and files: only such a folder is ever overwritten."""


def export_csv(run: RunDirectory, out: str | Path | None = None) -> list[Path]:
    """Write `steps.csv`, `evaluations.csv` and `events.csv` into `out` (default: the run's `exports/csv`).

    A table's columns are the union of its rows' keys in order of appearance, nested ones joined by dots; numbers in full
    precision, lists as JSON, nothing where a row has no value. Text that a spreadsheet would take for a formula gets a
    leading '. Returns the files. Raises RunError when `out` holds
    anything but an earlier export of the same run, or a record is damaged.
    """

    def fill(folder: Path) -> None:
        write_text(folder / "steps.csv", _table(run.steps()))
        write_text(folder / "evaluations.csv", _table(run.evaluations()))
        write_text(folder / "events.csv", _table(run.events()))

    return _export(run, out, "csv", fill)


def export_tensorboard(run: RunDirectory, out: str | Path | None = None) -> list[Path]:
    """Write a TensorBoard event file into `out` (default: the run's `exports/tensorboard`).

    Scalars `steps/<column>` and `evaluations/<column>` (float32, as TensorBoard keeps them), texts `samples` and
    `events/<kind>`; wall times are those of the run. Returns the files. Raises ConfigError when the package
    `tensorboard` is not installed, and RunError as `export_csv` does.
    """
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ModuleNotFoundError as error:
        raise ConfigError(
            "TensorBoard export needs the package 'tensorboard', which is not installed. "
            "Install it with: pip install 'trimtab[tensorboard]'"
        ) from error

    def fill(folder: Path) -> None:
        writer = EventFileWriter(str(folder))
        try:
            for event in _tensorboard_events(run):
                writer.add_event(event)
        finally:
            writer.close()

    return _export(run, out, "tensorboard", fill)


def _export(run: RunDirectory, chosen: str | Path | None, kind: str, fill: Callable[[Path], None]) -> list[Path]:
    run_id = run.manifest().run_id
    try:
        # A path of the user's own may be a link; one below the run, which somebody else may have made, may not.
        out = Path(chosen) if chosen else inside(run.path, run.exports_path.name, kind)
        out = Path(os.path.realpath(out)) if out.is_symlink() else out
        _check_ours(out, run_id, kind)
        out.parent.mkdir(parents=True, exist_ok=True)
    except NotRegularFileError as error:
        raise refused_place(error, run.exports_path) from error
    except OSError as error:
        raise RunError(
            f"Cannot export to {chosen or run.exports_path}: {error.strerror}. Choose another --out."
        ) from error
    if out.parent == run.exports_path:
        clean_leftovers(out.parent)
    with atomic_directory(out, replace=True) as folder:
        fill(folder)
        names = sorted(path.name for path in folder.iterdir())
        write_json(folder / MARKER, {"run_id": run_id, "kind": kind, "files": names})
    return [out / name for name in names]


def _check_ours(out: Path, run_id: str, kind: str) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise RunError(f"Cannot export to {out}: it is a file. Choose another --out.")
    present = {path.name for path in out.iterdir()}
    if not present:
        return
    try:
        marker = parse_json(read_regular(out / MARKER))
        owner, files = f"{marker['kind']} export of run {marker['run_id']}", {*marker["files"], MARKER}
    except (OSError, ValueError, KeyError, TypeError):
        owner, files = None, set()  # not an export's folder: everything in it is foreign
    if owner not in (None, f"{kind} export of run {run_id}"):
        raise RunError(f"Cannot export to {out}: it already holds another export (the {owner}). Choose another --out.")
    if foreign := sorted(present - files):
        raise RunError(
            f"Cannot export to {out}: it holds files that an export did not make ({', '.join(foreign[:3])}). "
            "Choose another --out, or move them away."
        )


def _table(rows: list[dict[str, Any]]) -> str:
    flat = [dict(flatten(to_json(row))) for row in rows]
    columns = list(dict.fromkeys(column for row in flat for column in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([csv_cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in flat)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        return value if value in NON_FINITE else csv_cell(value)
    return json.dumps(value, ensure_ascii=False)


def _tensorboard_events(run: RunDirectory) -> Iterable[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    started = datetime.fromisoformat(run.manifest().created_at).timestamp()
    times: dict[int, float] = {}  # the wall time at which a step ended, as the records tell it
    clock = started

    def scalars(group: str, row: dict[str, Any]) -> list[Any]:
        skipped = ("step", "attempt")
        leaves = ((k, v) for k, v in flatten(row) if k not in skipped and is_number(v))
        return [Summary.Value(tag=printable(f"{group}/{k.replace('.', '/')}"), simple_value=v) for k, v in leaves]

    for row in run.steps():
        clock += row["seconds"] if is_number(row.get("seconds")) else 0.0
        times[_step(row)] = clock
        yield Event(wall_time=clock, step=_step(row), summary=Summary(value=scalars("steps", row)))
    for row in run.evaluations():
        values = scalars("evaluations", row)
        sample = row.get("sample")
        if isinstance(sample, dict):
            values.append(_text("samples", f"{sample.get('prompt', '')}{sample.get('text', '')}"))
        yield Event(wall_time=times.get(_step(row), clock), step=_step(row), summary=Summary(value=values))
    for row in run.events():
        text = f"{row.get('reason', '')} | before: {row.get('before')} | after: {row.get('after')}"
        value = _text(f"events/{row.get('kind', 'event')}", text)
        yield Event(wall_time=times.get(_step(row), clock), step=_step(row), summary=Summary(value=[value]))


def _step(row: dict[str, Any]) -> int:
    return int(row.get("step") or 0)  # an event may belong to no step


def _text(tag: str, text: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    plugin = SummaryMetadata.PluginData(plugin_name="text")
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[printable(text, lines=True).encode()], tensor_shape=shape)
    return Summary.Value(tag=printable(tag), metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)

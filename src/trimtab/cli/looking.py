"""Commands that read records: list, show, diff, export, components."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.boundary import listed, user_path
from trimtab.cli.output import deliver, say
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.records import Manifest, RunDirectory, Summary

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_runs)
    app.command()(show)
    app.command()(diff)
    app.command()(export)
    app.command()(components)


def list_runs(
    folder: Annotated[Path, typer.Argument(parser=user_path, help="The folder that contains the runs.")] = Path("runs"),
    nested: Annotated[bool, typer.Option("--all", help="List the runs inside searches too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder. Those inside a search are listed with --all, or where the folder is the search's.

    The hashes of the records are not checked; `trimtab show` does that.

    trimtab list runs
    """
    from dataclasses import asdict

    from trimtab.records.ledger import runs
    from trimtab.records.values import to_json

    rows = runs(folder, nested=nested)
    if as_json:
        deliver(json.dumps([to_json(asdict(row)) for row in rows]))
        return
    if not rows:
        say(f"No runs in {folder}. Start one: trimtab train --out {folder}/first")
        return
    from trimtab.cli.table import say_table

    columns = ("run", "folder", "started", "status", "steps", "val_loss", "seconds", "seed", "data", "parent")
    table = [
        (
            row.run_id,
            row.path,
            row.created_at[:16].replace("T", " "),
            row.status,
            _shown(row.steps),
            "" if row.val_loss is None else f"{row.val_loss:.4f}",
            "" if row.seconds is None else f"{row.seconds:.0f}",
            _shown(row.seed),
            row.data,
            row.parent or "",
        )
        for row in rows
    ]
    say_table(columns, table, right={"steps", "val_loss", "seconds", "seed"})
    for row in rows:
        if row.problem:
            say(f"damaged: {row.path}: {row.problem}")
    if inside := [row for row in rows if row.contains]:
        say(f"Runs inside {listed([row.path for row in inside], 3)} are not listed. `--all` lists them.")


def show(
    run: Annotated[str, typer.Argument(help="A run's folder, or the first letters of its id.")],
    folder: Annotated[Path, typer.Option("--in", parser=user_path, help="The folder to look up an id in.")] = Path(
        "runs"
    ),
    as_json: AsJson = False,
) -> None:
    """Show one run: status, config, last figures and sample, events.

    Warns where a record is not what the run wrote.

    trimtab show runs/first
    """
    from trimtab.records.integrity import altered, altered_warning
    from trimtab.records.ledger import find
    from trimtab.records.values import to_json

    directory = find(folder if folder.is_dir() else Path(), str(user_path(run))).directory
    manifest, summary, evaluations = directory.manifest(), directory.summary(), directory.evaluations()
    events = [row for row in directory.events() if row["kind"] != "checkpoint"]
    status, changed = directory.status(), altered(directory.path, summary)
    if as_json:
        content: dict[str, Any] = {
            "folder": str(directory.path),
            "status": status,
            "altered": changed,
            "manifest": manifest.model_dump(),
            "summary": None if summary is None else summary.model_dump(exclude={"records"}),
            "last_evaluation": evaluations[-1] if evaluations else None,
            "events": events,
        }
        deliver(json.dumps(to_json(content)))
        return
    say(f"{manifest.run_id}  {directory.path}  {status}")
    if changed:
        say(altered_warning(directory.path, changed))
    _show_manifest(manifest, summary)
    if evaluations:
        _show_evaluation(evaluations[-1])
    _show_config(manifest)
    for row in events:
        say(f"event{_when(row)}: {row['kind']}: {row['reason']}")


def _when(event: dict[str, Any]) -> str:
    """The step or the time of an event; nothing for those of a search, which have neither."""
    if event.get("step") is not None:
        return f" at step {event['step']}"
    return f" on {event['time'][:19]}" if event.get("time") else ""


def _show_manifest(manifest: "Manifest", summary: "Summary | None") -> None:
    from trimtab.config import run_kinds

    parent = f", forked from {manifest.parent.run_id} at step {manifest.parent.step}" if manifest.parent else ""
    say(f"started {manifest.created_at}, commit {manifest.git_commit or 'unknown'}{parent}")
    tokens = "" if manifest.data.tokens is None else f", {manifest.data.tokens:,} tokens"
    say(f"data {manifest.data.name}{tokens}, fingerprint {manifest.data.fingerprint[:16]}")
    if summary is not None:
        weights = "" if summary.weights_sha256 is None else f", weights {summary.weights_sha256}"
        say(f"{summary.steps} steps in {summary.seconds:.0f} s{weights}")
        kind = run_kinds().get(manifest.kind)  # None where the package that added the kind is not installed
        headline = None if kind is None else kind.load("headline")
        if headline is not None and (sentence := headline(summary.metrics)) is not None:
            say(sentence)


def _show_evaluation(last: dict[str, Any]) -> None:
    from trimtab.cli.training_words import task_eval_words

    figures = ", ".join(f"{k} {v:.4f}" for k, v in last.items() if k.startswith("val_") and isinstance(v, float))
    say(f"step {last['step']}: {figures}")
    if last.get("task_eval"):
        say(task_eval_words(last["task_eval"]))
    if last.get("sample"):
        text = f"{last['sample']['prompt']}{last['sample']['text']}"
        say("sample:", *(f"  | {line}" for line in text.split("\n")))


def _show_config(manifest: "Manifest") -> None:
    from trimtab.config.yaml_file import dump_yaml

    say(f"config, hash {manifest.config_hash[:16]}:")
    # No text is folded, so each line of YAML begins with a key or an item.
    text = dump_yaml(manifest.config, default_flow_style=None, width=math.inf)
    say(*(f"  {line}" for line in text.rstrip("\n").split("\n")))


def diff(
    a: Annotated[Path, typer.Argument(parser=user_path, help="A run's folder.")],
    b: Annotated[Path, typer.Argument(parser=user_path, help="Another run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs: their configs, and the first step that differs.

    trimtab diff runs/first runs/hotter
    """
    from trimtab.records.compare import config_delta, first_difference
    from trimtab.records.environment import environment_differences
    from trimtab.records.run_directory import RunDirectory

    first, second = RunDirectory(a), RunDirectory(b)
    one, other = first.manifest(), second.manifest()
    delta = config_delta(one.config, other.config)
    machine = environment_differences(one.environment, other.environment)
    difference = first_difference(first, second)
    changed = [_warn_of_changes(run, quiet=as_json) for run in (first, second)]
    if as_json:
        content = {
            "config": [{"key": k, "a": x, "b": y} for k, x, y in delta],
            "environment": [{"key": k, "a": x, "b": y} for k, x, y in machine],
            "data_identical": one.data.fingerprint == other.data.fingerprint,
            "first_difference": None
            if difference is None
            else {"step": difference.step, "message": difference.message},
            "altered": {"a": changed[0], "b": changed[1]},
        }
        deliver(json.dumps(content, default=str))
        return
    for key, x, y in delta:
        say(f"config {key}: {_yaml(x)} in A, {_yaml(y)} in B")
    if one.data.fingerprint != other.data.fingerprint:
        say("data: the corpora differ")
    for key, x, y in machine:
        say(f"environment {key}: {x} in A, {y} in B")
    if not delta:
        say("The configs are the same.")
    say("Every step is equal." if difference is None else f"First difference: {difference.message}.")


def _yaml(value: Any) -> str:
    """A value of a config as a config writes it."""
    from trimtab.config.describe import value_text
    from trimtab.records.compare import ABSENT

    return repr(value) if value is ABSENT else value_text(value)


def export(
    run: Annotated[Path, typer.Argument(parser=user_path, help="A run's folder.")],
    to: Annotated[str, typer.Option("--to", help="The format: csv or tensorboard.")],
    out: Annotated[
        Path | None, typer.Option("--out", parser=user_path, help="The folder to write; default: RUN/exports.")
    ] = None,
) -> None:
    """Export a run's records as CSV or for TensorBoard.

    Exports are copies: they can be deleted and made again.

    trimtab export runs/first --to csv
    """
    from trimtab.records import RunDirectory, export_csv, export_tensorboard

    exporters = {"csv": export_csv, "tensorboard": export_tensorboard}
    if to not in exporters:
        raise ConfigError(f"--to takes one of {', '.join(exporters)}; got '{to}'.")
    directory = RunDirectory(run)
    paths = exporters[to](directory, out)
    _warn_of_changes(directory)
    for path in paths:
        say(path)


def _warn_of_changes(run: "RunDirectory", *, quiet: bool = False) -> list[str]:
    """The records that are not what the run wrote; a warning on standard error unless `quiet`."""
    from trimtab.records.integrity import altered, altered_warning

    changed = altered(run.path, run.summary())
    if changed and not quiet:
        say(altered_warning(run.path, changed), err=True)
    return changed


def components(
    kind: Annotated[str | None, typer.Argument(help="A kind of component, such as loss; default: all kinds.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the components that a config can name, with parameters.

    trimtab components optimizer
    """
    import inspect

    from trimtab.config import REGISTRIES

    if kind is not None and kind not in REGISTRIES:
        raise ConfigError(f"There is no kind of component '{kind}'. Kinds: {', '.join(REGISTRIES)}.")
    listing: dict[str, Any] = {}
    for name in [kind] if kind is not None else REGISTRIES:
        registry = REGISTRIES[name]
        listing[name] = {
            entry.name: {
                "about": (inspect.getdoc(registry.load(entry.name)) or "").partition("\n")[0],
                "parameters": [vars(parameter) for parameter in registry.parameters(entry.name)],
            }
            for entry in registry
        }
    if as_json:
        deliver(json.dumps(listing, default=str))
        return
    for name, entries in listing.items():
        say(f"{name}:" + ("" if entries else " none yet; name your own as 'package.module:Name'"))
        for entry, content in entries.items():
            say(f"  {entry}: {content['about']}")
            for parameter in content["parameters"]:
                default = "required" if parameter["required"] else f"default {parameter['default']!r}"
                say(f"    {parameter['name']} ({parameter['annotation']}, {default}): {parameter['description']}")


def _shown(value: Any) -> str:
    return "" if value is None else str(value)

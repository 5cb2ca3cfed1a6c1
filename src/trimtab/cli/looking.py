"""Commands that only look: list, show, diff, export, components."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.errors import ConfigError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_runs)
    app.command()(show)
    app.command()(diff)
    app.command()(export)
    app.command()(components)


def list_runs(
    folder: Annotated[Path, typer.Argument(parser=user_path, help="The folder that holds runs.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder. The index it keeps there may be deleted at any time.

    trimtab list runs
    """
    from dataclasses import asdict

    from trimtab.records.ledger import runs
    from trimtab.records.values import to_json

    rows = runs(folder)
    if as_json:
        typer.echo(json.dumps([to_json(asdict(row)) for row in rows]))
        return
    if not rows:
        typer.echo(f"No runs in {folder}. Start one: trimtab train --out {folder}/first")
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


def show(
    run: Annotated[str, typer.Argument(help="A run's folder, or the first letters of its id.")],
    folder: Annotated[Path, typer.Option("--in", parser=user_path, help="Where to look for an id.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Show one run: its config, where it stands, its last figures and sample.

    trimtab show runs/first
    """
    import yaml

    from trimtab.cli.exam_words import exam_words
    from trimtab.records.ledger import find
    from trimtab.records.values import to_json

    directory = find(folder if folder.is_dir() else Path(), run).directory
    manifest, summary, evaluations = directory.manifest(), directory.summary(), directory.evaluations()
    content: dict[str, Any] = {
        "folder": str(directory.path),
        "status": directory.status(),
        "manifest": manifest.model_dump(),
        "summary": None if summary is None else summary.model_dump(),
        "last_evaluation": evaluations[-1] if evaluations else None,
        "events": [row for row in directory.events() if row["kind"] != "checkpoint"],
    }
    if as_json:
        typer.echo(json.dumps(to_json(content)))
        return
    typer.echo(f"{manifest.run_id}  {directory.path}  {content['status']}")
    parent = f", forked from {manifest.parent.run_id} at step {manifest.parent.step}" if manifest.parent else ""
    typer.echo(f"started {manifest.created_at}, commit {manifest.git_commit or 'unknown'}{parent}")
    tokens = "" if manifest.data.tokens is None else f", {manifest.data.tokens:,} tokens"
    typer.echo(f"data {manifest.data.name}{tokens}, fingerprint {manifest.data.fingerprint[:16]}")
    if summary is not None:
        weights = "" if summary.weights_sha256 is None else f", weights {summary.weights_sha256}"
        typer.echo(f"{summary.steps} steps in {summary.seconds:.0f} s{weights}")
        if (solved := summary.metrics.get("joint")) is not None:  # a memory run's
            typer.echo(f"{solved['solved']} of {solved['pairs']} pairs solved")
    if evaluations:
        last = evaluations[-1]
        figures = ", ".join(f"{k} {v:.4f}" for k, v in last.items() if k.startswith("val_") and isinstance(v, float))
        typer.echo(f"step {last['step']}: {figures}")
        if last.get("exam"):
            typer.echo(exam_words(last["exam"]))
        if last.get("sample"):
            typer.echo(f"sample: {last['sample']['prompt']}{last['sample']['text']}")
    typer.echo(f"config, hash {manifest.config_hash[:16]}:")
    typer.echo(
        "  " + yaml.safe_dump(manifest.config, sort_keys=False, default_flow_style=None).rstrip().replace("\n", "\n  ")
    )
    for row in content["events"]:
        # a memory run has no steps of its own
        when = f"at step {row['step']}" if "step" in row else f"on {row['time'][:19]}"
        typer.echo(f"event {when}: {row['kind']}: {row['reason']}")


def diff(
    a: Annotated[Path, typer.Argument(parser=user_path, help="A run's folder.")],
    b: Annotated[Path, typer.Argument(parser=user_path, help="Another run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Say in what the configs of two runs differ, and the first step at which the runs part.

    trimtab diff runs/first runs/hotter
    """
    from trimtab.records.compare import config_delta, first_difference
    from trimtab.records.environment import environment_differences
    from trimtab.records.run_directory import RunDirectory

    first, second = RunDirectory(a), RunDirectory(b)
    one, other = first.manifest(), second.manifest()
    delta = config_delta(one.config, other.config)
    machine = environment_differences(one.environment, other.environment)
    parting = first_difference(first, second)
    if as_json:
        content = {
            "config": [{"key": k, "a": x, "b": y} for k, x, y in delta],
            "environment": [{"key": k, "a": x, "b": y} for k, x, y in machine],
            "data_identical": one.data.fingerprint == other.data.fingerprint,
            "first_difference": None if parting is None else {"step": parting.step, "message": parting.message},
        }
        typer.echo(json.dumps(content, default=str))
        return
    for key, x, y in delta:
        typer.echo(f"config {key}: {x} in A, {y} in B")
    if one.data.fingerprint != other.data.fingerprint:
        typer.echo("data: the corpora differ")
    for key, x, y in machine:
        typer.echo(f"environment {key}: {x} in A, {y} in B")
    if not delta:
        typer.echo("The configs are the same.")
    typer.echo("The runs never part." if parting is None else f"First difference: {parting.message}.")


def export(
    run: Annotated[Path, typer.Argument(parser=user_path, help="A run's folder.")],
    to: Annotated[str, typer.Option("--to", help="csv or tensorboard.")],
    out: Annotated[
        Path | None, typer.Option("--out", parser=user_path, help="Where to; RUN/exports when missing.")
    ] = None,
) -> None:
    """Export a run's records. Exports are views: they can be deleted and made again.

    trimtab export runs/first --to csv
    """
    from trimtab.records import RunDirectory, export_csv, export_tensorboard

    exporters = {"csv": export_csv, "tensorboard": export_tensorboard}
    if to not in exporters:
        raise ConfigError(f"--to takes one of {', '.join(exporters)}; got '{to}'.")
    for path in exporters[to](RunDirectory(run), out):
        typer.echo(str(path))


def components(
    kind: Annotated[str | None, typer.Argument(help="A kind, such as loss; none lists every kind.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what can be named in a config, with its parameters.

    trimtab components optimizer
    """
    import inspect

    from trimtab.config import REGISTRIES

    if kind is not None and kind not in REGISTRIES:
        raise ConfigError(f"There is no kind '{kind}'. Kinds: {', '.join(REGISTRIES)}.")
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
        typer.echo(json.dumps(listing, default=str))
        return
    for name, entries in listing.items():
        typer.echo(f"{name}:" + ("" if entries else " none ships yet; name your own as 'package.module:Name'"))
        for entry, content in entries.items():
            typer.echo(f"  {entry}: {content['about']}")
            for parameter in content["parameters"]:
                default = "required" if parameter["required"] else f"default {parameter['default']!r}"
                typer.echo(
                    f"    {parameter['name']} ({parameter['annotation']}, {default}): {parameter['description']}"
                )


def _shown(value: Any) -> str:
    return "" if value is None else str(value)

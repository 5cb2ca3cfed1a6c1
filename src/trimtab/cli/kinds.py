"""Runs of other kinds that `trimtab train` starts: those whose config names its kind."""

import json
from pathlib import Path

import typer

from trimtab.cli.interrupted import command_line, exit_code
from trimtab.cli.output import deliver, say


def kind_in(config: Path) -> str | None:
    """The kind of run that a YAML config names by its key `kind`; None for one without it."""
    from trimtab.config.yaml_file import load_yaml

    kind = load_yaml(config)[0].get("kind")
    return kind if isinstance(kind, str) else None


def train_kind(
    name: str, config: Path, out: Path | None, overrides: list[str], *, allow_code: bool, as_json: bool
) -> None:
    """Run a config of another kind into a folder, or continue the run there; without a folder only check the config."""
    from trimtab.config import allowing_code, kind_named
    from trimtab.config.load import load_root
    from trimtab.records import RunDirectory

    if out is not None and not RunDirectory(out).exists():
        RunDirectory(out).check_free()
    kind = kind_named(name, f"{config}: kind: ")
    with allowing_code(allow_code):
        loaded = load_root(kind.schema, config, overrides)
    if out is None:
        from trimtab.cli.dry_run import check_kind

        check_kind(loaded, kind.noun, as_json=as_json)
        return
    from trimtab.cli.display import showing

    with showing(None, as_json=as_json, how_to_continue="Continue with the same command.") as context:
        result = kind.load("run")(loaded, out, context)
    write, line = kind.load("report"), kind.load("headline")
    if result["status"] == "completed" and write is not None:
        result["report"] = str(write(out)[0])
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
    elif result["status"] == "completed":
        words = None if line is None else line(result["metrics"])
        report = f" The report is {result['report']}." if "report" in result else ""
        say(f"completed{'' if words is None else f': {words}'}. Records in {out}.{report}")
    if result["status"] == "interrupted":
        say(f"Interrupted. Continue with the same command: {command_line()}", err=True)
        raise typer.Exit(exit_code(context))

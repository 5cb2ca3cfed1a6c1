"""Commands on files of chats and preference pairs: check, snapshot."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AsJson
from trimtab.errors import ConfigError

data_app = typer.Typer(help="Check and keep files of chats and preference pairs.", no_args_is_help=True)

File = Annotated[str, typer.Argument(help="A file of chats or preference pairs: JSONL, a JSON list, or Parquet.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(data_app, name="data")


@data_app.command()
@working()
def check(
    file: File,
    validation: Annotated[str | None, typer.Option(help="A file of validation rows, to find shared prompts.")] = None,
    evaluation: Annotated[
        list[str] | None, typer.Option(help="A file of an evaluation set, to find its texts; repeatable.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="`character`, a model's folder or an imported model, for lengths in tokens.")
    ] = None,
    context: Annotated[int, typer.Option(min=2, help="With a tokenizer: the context of the runs.")] = 2048,
    out: Annotated[
        Path | None, typer.Option(parser=user_path, help="A new folder for report.html, report.md and check.json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report what is in a file and what is wrong with it: lengths, duplicates, labels, encodings, what would be left out.

    trimtab data check pairs.jsonl --tokenizer smollm2-135m --context 1024 --out checks/pairs
    """
    if out is not None and out.exists():
        raise ConfigError(f"--out: {out} exists already. Name a new folder.")
    from trimtab.posttraining.checks.check import CheckOptions, check_file
    from trimtab.posttraining.checks.report import lines_of, page_of

    findings = check_file(
        file, CheckOptions(validation, tuple(evaluation or ()), _tokenizer(tokenizer), context=context)
    )
    if out is not None:
        from trimtab.records.atomic import atomic_directory, write_json
        from trimtab.reports.page import write_pages

        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_directory(out) as folder:
            write_json(folder / "check.json", findings)
            write_pages(page_of(findings), folder)
        say(f"Report: {out / 'report.html'}", err=as_json)
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(findings)))
        return
    deliver("\n".join(lines_of(findings)))


@data_app.command()
@working()
def snapshot(
    files: Annotated[list[str], typer.Argument(help="Files to keep.")],
    out: Annotated[Path, typer.Option(parser=user_path, help="The folder of the copies; it may exist.")],
    as_json: AsJson = False,
) -> None:
    """Copy files under their hashes, so that a run's data stay what they were; `snapshot.json` lists them.

    trimtab data snapshot train.jsonl validation.jsonl --out data/snapshots
    """
    from trimtab.posttraining.checks.snapshot import keep

    kept = keep(files, out)
    if as_json:
        deliver(json.dumps(kept))
        return
    deliver("\n".join(f"{one['source']} -> {out / one['copy']} ({one['bytes']:,} bytes)" for one in kept))


def _tokenizer(name: str | None) -> Any:
    if name is None:
        return None
    from trimtab.config import REGISTRIES

    registry = REGISTRIES["tokenizer"]
    spec = {"name": "character"} if name == "character" else {"name": "pretrained", "path": name}
    return registry.build(registry.resolve(spec, "--tokenizer: "))

"""The command that searches for settings."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.experimenting import Executor, command_line, exit_code, worker_count
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AllowCode, AsJson, Set, check_new

if TYPE_CHECKING:
    from trimtab.experiments.searching.config import SearchConfig


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(search)


@working()
def search(
    config: Annotated[Path, typer.Argument(parser=user_path, help="The YAML file of the search.")],
    out: Annotated[
        Path,
        typer.Option("--out", parser=user_path, help="The search's folder; a search that is there is continued."),
    ],
    overrides: Set = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Worker processes; 0 makes the runs in this process. By default as many as the cores allow."
        ),
    ] = None,
    executor: Executor = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Search for settings of a training run, and confirm the best on fresh seeds.

    A search can be interrupted or killed at any moment; the same command continues it, with the same result.

    trimtab search configs/search.yaml --out runs/search

    trimtab search configs/search.yaml --set optimizer.name=cma --set trials=60 --set parallel=2 --workers 2 --out runs/cma
    """
    from trimtab.config import allowing_code
    from trimtab.config.load import load_root
    from trimtab.experiments.searching.config import SearchConfig
    from trimtab.records import RunDirectory

    if not RunDirectory(out).exists():
        check_new(out)
    with allowing_code(allow_code):
        loaded = load_root(SearchConfig, config, overrides or ())
    from trimtab.cli.display import showing
    from trimtab.experiments import RunOptions
    from trimtab.experiments.searching.run import run_search

    if not as_json:
        say(_planned(loaded), "")
    with showing(None, as_json=as_json, how_to_continue="Continue with the same command.") as context:
        options = RunOptions(
            workers=worker_count(loaded.run.threads) if workers is None else workers,
            executor=executor,
            stop=context.stop,
            events=context.events,
            command=context.command,
        )
        result = run_search(loaded, out, options)
    if result["status"] == "completed":
        from trimtab.reports.search import write_report

        result["report"] = str(write_report(out)[0])
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
    elif result["status"] == "completed":
        say("", *_conclusion(result["metrics"]), f"Records in {out}, the report is {result['report']}.")
    if result["status"] == "interrupted":
        say(f"Interrupted. Continue with the same command: {command_line()}", err=True)
        raise typer.Exit(exit_code(context))


def _planned(config: "SearchConfig") -> str:
    from trimtab.boundary import counted

    keys = counted(len(config.space), "key")
    confirmed = (
        f", then {counted(config.confirm.seeds, 'run')} of the best on fresh seeds" if config.confirm.seeds else ""
    )
    return (
        f"{config.optimizer.name}: {counted(config.trials, 'trial')} over {keys} for a better {config.metric}, "
        f"{config.parallel} at a time{confirmed}."
    )


def _conclusion(metrics: dict[str, Any]) -> list[str]:
    """What the search found, in sentences."""
    from trimtab.config.describe import value_text

    best, metric = metrics["best"], metrics["metric"]
    settings = ", ".join(f"{key}={value_text(value)}" for key, value in best["settings"].items())
    lines = [
        f"Best: trial {best['trial']} ({metrics['trials']} trials), {metric} {metrics['found']:.4f} in the search."
    ]
    if "confirmed" in metrics:
        confirmed = metrics["confirmed"]
        count = len(confirmed["values"])
        sd = f", SD {confirmed['sd']:.4f}" if count > 1 else ""
        lines.append(
            f"On {count} fresh seeds: {metric} {confirmed[metric]:.4f}{sd}, worst {confirmed['worst']:.4f}, "
            f"{confirmed['diverged']} diverged. Optimism of the search: {metrics['optimism']:+.4f}; of equally good "
            f"settings, noise alone would give {metrics['expected_optimism']:.4f}."
            if count > 1
            else f"On a fresh seed: {metric} {confirmed[metric]:.4f}."
        )
    return [*lines, f"Settings: {settings}"]

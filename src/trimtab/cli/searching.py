"""Commands that search for settings: run, table, train."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trimtab.boundary import user_path
from trimtab.cli.default_command import DefaultCommand
from trimtab.cli.experimenting import Executor, worker_count
from trimtab.cli.interrupted import command_line, exit_code
from trimtab.cli.options import check_free
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AllowCode, AsJson, Set, check_new
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.experiments.searching.config import SearchConfig


search_app = typer.Typer(
    help="Search for settings of a training run: trimtab search CONFIG --out DIR. Tables of recorded runs, and policies.",
    cls=DefaultCommand,
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(search_app, name="search")


@search_app.command("run")
@working()
def run(
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
    """Search for settings of a training run, and confirm the best on fresh seeds. The word `run` may be left out.

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
    from trimtab.experiments.searching.recorded import with_table
    from trimtab.experiments.searching.run import run_search

    if not as_json:
        say(_planned(with_table(loaded)), "")
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


@search_app.command("table")
@working()
def table(
    folder: Annotated[Path, typer.Argument(parser=user_path, help="The folder of a finished search.")],
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The file to write, such as runs.json.gz.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Record the runs of a search as a table, on which other searches take a moment.

    The search needs the scheduler `whole`; random settings with several seeds are the usual ones, and `confirm.seeds: 0`.

    trimtab search table runs/recorded --out recorded.json.gz

    trimtab search my_search.yaml --set table=recorded.json.gz --out runs/on_the_table
    """
    from trimtab.boundary import counted

    check_free(out, overwrite=overwrite)
    from trimtab.experiments.searching.recording import recorded_table

    made = recorded_table(folder)
    made.write(out)
    say(
        f"{counted(len(made.rows), 'setting')}, {counted(made.seeds, 'seed')} each, {made.metric} at the steps "
        f"{', '.join(map(str, made.steps))}: {out}, {out.stat().st_size / 1000:,.0f} kB."
    )


@search_app.command("train")
@working()
def train(
    policy: Annotated[Literal["pfa", "cfa", "vfa"], typer.Argument(help="The policy: pfa, cfa or vfa.")],
    table_file: Annotated[Path, typer.Option("--table", parser=user_path, help="A table of recorded runs.")],
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The JSON file to write.")],
    trials: Annotated[int, typer.Option(min=2, help="The budget of each simulated search, in whole runs.")] = 30,
    searches: Annotated[int, typer.Option(min=1, help="Simulated searches per candidate, or per round of vfa.")] = 40,
    seeds: Annotated[int, typer.Option(min=1, help="The most seeds of a setting.")] = 2,
    pause: Annotated[int | None, typer.Option(help="The step at which first runs pause; default: none.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same parameters.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Train the parameters of a policy on a table of recorded runs.

    Searches are simulated on the table. What is tuned on a table is judged on another one.

    trimtab search train vfa --table recorded.json.gz --out vfa.json
    """
    check_free(out, overwrite=overwrite)
    if out.exists() and table_file.exists() and out.samefile(table_file):
        raise ConfigError(f"{out} is the table itself. Name another file for the parameters.")
    from trimtab.experiments.searching.recorded import table_in
    from trimtab.search.policies.training import trained_on

    recorded, sha256 = table_in(table_file)
    made = trained_on(
        policy,
        recorded,
        sha256,
        trials=trials,
        searches=searches,
        seeds=seeds,
        pause=pause,
        seed=seed,
        progress=_progress,
    )
    made.write(out)
    say(f"Trained {policy} on {made.training['searches']:,} simulated searches: {out}")


def _progress(done: int, total: int) -> None:
    if done % max(1, total // 10) == 0 or done == total:
        say(f"{done} of {total}", err=True)


def _planned(config: "SearchConfig") -> str:
    from trimtab.boundary import counted

    keys = counted(len(config.space), "key")
    scheduler = config.scheduler.name
    chooser = config.optimizer.name if scheduler == "whole" else f"{config.optimizer.name}, {scheduler}"
    confirmed = (
        f", then {counted(config.confirm.seeds, 'run')} of the best on fresh seeds" if config.confirm.seeds else ""
    )
    return (
        f"{chooser}: {counted(config.trials, 'trial')} over {keys} for a better {config.metric}, "
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

"""`trimtab bench`: speed and memory on this machine, compared with a straightforward loop."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import deliver, say

bench_app = typer.Typer(invoke_without_command=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on standard output.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(bench_app, name="bench")


@bench_app.callback()
def bench(
    context: typer.Context,
    parts: Annotated[
        str,
        typer.Option(
            help="What to measure, separated by commas: default, modern, tiny (training steps), loss (time to a held-out loss), "
            "experiment (96 tiny episodes), pretrained, memory, rss (peak memory of the default step)."
        ),
    ] = "default,modern,tiny,loss,experiment,pretrained,memory,rss",
    rounds: Annotated[int, typer.Option(min=3, help="Interleaved rounds; medians are taken over them.")] = 15,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per recipe in the part loss.")] = 1,
    compare: Annotated[
        Path | None, typer.Option(parser=user_path, help="An earlier JSON; each figure is compared with it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Benchmark this machine: training steps, the time to a loss, a pretrained model, content memory.

    The table has our speed, that of a straightforward loop or of the peer's recipe, the ratio, and the share of the peak of
    matrix products. The parts `pretrained` and `memory` need smollm2-135m (`trimtab models import smollm2-135m`). Run
    nothing else meanwhile; all parts together take many minutes.

    trimtab bench --json > before.json

    trimtab bench --parts modern,tiny --compare before.json
    """
    if context.invoked_subcommand is not None:
        return
    from trimtab.bench.summary import PARTS, changes, document, measure, read_document, table
    from trimtab.cli.table import say_table
    from trimtab.errors import ConfigError
    from trimtab.records.cpus import physical_cores

    names = tuple(parts.split(","))
    if unknown := [name for name in names if name not in PARTS]:
        raise ConfigError(f"--parts: '{unknown[0]}' is unknown. Known: {', '.join(PARTS)}.")
    earlier = None if compare is None else read_document(compare)
    threads = physical_cores()
    figures = measure(names, rounds, seeds, threads, _say(as_json))
    made = document(figures, threads)
    if as_json:
        deliver(json.dumps(made))
        return
    say("", f"{made['machine']['cpu']}, {threads} threads, torch {made['machine']['torch']}")
    columns = ("measured", "ours", "plain loop", "peer", "ratio", "of peak")
    say_table(columns, table(figures), right=columns[1:])
    if earlier is not None:
        say(
            "",
            f"Compared with {compare} ({earlier.get('machine', {}).get('cpu', 'unknown machine')}); above 1 is better now",
        )
        named = ("measured", "earlier", "now", "times as good")
        say_table(named, changes(figures, earlier["figures"]), right=named[1:])


@bench_app.command()
def quality(
    seeds: Annotated[int, typer.Option(min=2, help="Paired seeds.")] = 6,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each run.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Compare the validation losses of the straightforward loop and ours.

    trimtab bench quality --seeds 6 --steps 300
    """
    from trimtab.bench.quality import MARGIN, bench_quality

    figures = bench_quality(seeds, steps, _say(as_json))
    _print(figures, as_json)
    if not figures["quality.within_margin"]:
        say(f"The mean difference is outside ±{MARGIN} nats.", err=True)
        raise typer.Exit(1)


@bench_app.command("time-to-loss")
def time_to_loss(
    file: Annotated[
        Path | None, typer.Argument(parser=user_path, help="A text file or folder; default: the built-in corpus.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recipe.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    recipes: Annotated[
        str,
        typer.Option(
            help="Separated by commas: peer (nanoGPT's recipe for a CPU, in a plain loop), same (the same recipe, trained by "
            "Trimtab), fast (the preset of `trimtab train --preset`)."
        ),
    ] = "peer,same,fast",
    as_json: AsJson = False,
) -> None:
    """Measure how long recipes train until they reach a held-out loss.

    Each run is a process of its own, timed from its start to the end of training. The recipes take turns. Every
    seed takes minutes. Run nothing else meanwhile.

    trimtab bench time-to-loss my.txt --seeds 3
    """
    from trimtab.bench.time_to_loss import RECIPES, bench_time_to_loss
    from trimtab.errors import ConfigError

    names = tuple(recipes.split(","))
    if unknown := [name for name in names if name not in RECIPES]:
        raise ConfigError(f"--recipes: '{unknown[0]}' is unknown. Known: {', '.join(RECIPES)}.")
    _print(bench_time_to_loss(file, seeds, threads, names, _say(as_json)), as_json)


@bench_app.command()
def tasks(
    rounds: Annotated[int, typer.Option(min=3, help="Interleaved rounds; medians are taken over them.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Benchmark tasks: problems per second, scoring, batched generation.

    trimtab bench tasks
    """
    from trimtab.bench.tasks import bench_tasks

    _print(bench_tasks(rounds, _say(as_json)), as_json)


@bench_app.command()
def pretrained(
    model: Annotated[str, typer.Argument(help="A model's folder, or the name of an imported one.")] = "smollm2-135m",
    rounds: Annotated[int, typer.Option(min=2, help="Interleaved rounds; medians are taken over them.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Benchmark a pretrained model: loading, a LoRA step, generation.

    trimtab bench pretrained smollm2-135m
    """
    from trimtab.bench.pretrained import bench_pretrained
    from trimtab.config.model_paths import expanded_path

    path = str(expanded_path({"path": model})["path"])
    _print(bench_pretrained(path, rounds, threads, _say(as_json)), as_json)


@bench_app.command()
def memory(
    model: Annotated[str, typer.Argument(help="A model's folder, or the name of an imported one.")] = "smollm2-135m",
    rounds: Annotated[int, typer.Option(min=3, help="Interleaved rounds; medians are taken over them.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Benchmark content memory: time per pair and step, pairs per hour.

    trimtab bench memory smollm2-135m
    """
    from trimtab.bench.content_memory import bench_memory
    from trimtab.config.model_paths import expanded_path

    path = str(expanded_path({"path": model})["path"])
    _print(bench_memory(path, rounds, threads, _say(as_json)), as_json)


@bench_app.command()
def spinning(
    workloads: Annotated[
        str, typer.Option(help="What to measure, separated by commas: training, tiny_training, generation, memory.")
    ] = "training,tiny_training",
    settings: Annotated[
        str,
        typer.Option(
            help="Separated by commas: library, spin_100, spin_300, spin_1000, spin_3000, spin_10000, passive."
        ),
    ] = "library,spin_300,spin_1000,passive",
    seconds: Annotated[float, typer.Option(min=0.1, callback=finite, help="Seconds of each measurement.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds; medians are taken over them.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure how long idle OpenMP threads should spin.

    Each setting runs alone, beside a busy process, and beside a second run.

    The workloads `generation` and `memory` need smollm2-135m (`trimtab models import smollm2-135m`). Run nothing else meanwhile.

    trimtab bench spinning --workloads training,memory --rounds 3
    """
    from trimtab.bench.spinning import SETTINGS, WORKLOADS, bench_spinning
    from trimtab.errors import ConfigError

    chosen = {"--workloads": (workloads.split(","), WORKLOADS), "--settings": (settings.split(","), tuple(SETTINGS))}
    for option, (names, known) in chosen.items():
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(f"{option}: '{unknown[0]}' is unknown. Known: {', '.join(known)}.")
    if "library" not in chosen["--settings"][0]:
        raise ConfigError("--settings needs 'library', which the others are compared with.")
    figures = bench_spinning(
        tuple(chosen["--workloads"][0]), tuple(chosen["--settings"][0]), seconds, rounds, _say(as_json)
    )
    _print(figures, as_json)


def _say(quiet: bool) -> Any:
    return lambda text: say(text, err=quiet)


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        deliver(json.dumps(figures))
        return
    for key, value in figures.items():
        if not isinstance(value, list):
            say(f"{key:44} {_number(value) if isinstance(value, float) else value}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"

"""Commands that run experiments: run, ablate, aa."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.interrupted import command_line, exit_code
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AllowCode, AsJson, Set

if TYPE_CHECKING:
    from trimtab.experiments import Experiment, RunOptions
    from trimtab.runtime.context import RunContext


Executor = Annotated[
    str | None,
    typer.Option(
        help="inline, processes, ray (ray:HOST:PORT for a cluster that is there), or one that an installed package "
        "adds. By default it follows from --workers."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(run)
    app.command()(ablate)
    app.command()(aa)


@working()
def run(
    experiment: Annotated[Path, typer.Argument(parser=user_path, help="The YAML file of the experiment.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=user_path,
            help="The experiment's folder; an experiment that is there is continued.",
        ),
    ],
    overrides: Set = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Worker processes; 0 runs the episodes in this process. By default as many as the cores allow."
        ),
    ] = None,
    executor: Executor = None,
    pilot: Annotated[
        bool,
        typer.Option("--pilot", help="Run for the estimates, although so few pairs cannot confirm the claim."),
    ] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Run a paired experiment and print its verdicts.

    trimtab run configs/regime_controller.yaml --out runs/rc

    trimtab run configs/regime_controller.yaml --set seeds=6 --out runs/rc6 --workers 2
    """
    from trimtab.config import allowing_code
    from trimtab.experiments import ExperimentDirectory, load_experiment
    from trimtab.experiments.directory import check_free

    check_free(ExperimentDirectory(out))
    with allowing_code(allow_code):
        loaded = load_experiment(experiment, overrides or ())
    _run(loaded, experiment, out, workers, executor, pilot=pilot, as_json=as_json)


@working()
def ablate(
    config: Annotated[Path, typer.Argument(parser=user_path, help="The YAML file of the base config.")],
    over: Annotated[
        list[str],
        typer.Option("--over", help="Changes, KEY=VALUE,KEY=VALUE: each is an arm, compared with the base config."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=user_path,
            help="The experiment's folder; an experiment that is there is continued.",
        ),
    ],
    claim: Annotated[
        str,
        typer.Option(
            "--claim",
            help="METRIC lower|higher MARGIN (the smallest difference that matters).",
        ),
    ] = "val_loss lower 0.02",
    seeds: Annotated[
        int, typer.Option("--seeds", min=2, help="Seeds, which every arm runs; each gives one pair.")
    ] = 12,
    overrides: Set = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes, as for `trimtab run`.")] = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="Run for the estimates, as for `trimtab run`.")] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Run an ablation: each change is one arm, on the same seeds.

    trimtab ablate configs/baseline.yaml --over model.dropout=0,episode.clip=null --out runs/ablation
    """
    from trimtab.config import allowing_code, apply_overrides
    from trimtab.config.permission import refuse_recorded_code
    from trimtab.config.yaml_file import load_yaml
    from trimtab.evidence import parse_claim
    from trimtab.experiments.ablation import ablation
    from trimtab.training.config import RunConfig

    base, _ = load_yaml(config)
    with allowing_code(allow_code):
        refuse_recorded_code(base, config)
    apply_overrides(base, overrides or (), RunConfig)
    spec = ablation(base, over, parse_claim(claim), seeds)
    _run(spec, out / "experiment.yaml", out, workers, None, pilot=pilot, as_json=as_json)


def _run(
    spec: "Experiment",
    source: Path,
    out: Path,
    workers: int | None,
    executor: str | None,
    *,
    pilot: bool,
    as_json: bool,
) -> None:
    """Print what the plan can show, run it and print its verdicts; `source` is the YAML that continues it."""
    from trimtab.boundary import counted, shortened
    from trimtab.config import ConfigError
    from trimtab.experiments import ExperimentDirectory, planned
    from trimtab.experiments.directory import check_usable

    check_usable(ExperimentDirectory(out), spec)
    try:
        plan = planned(spec)
    except ConfigError as refusal:
        if not pilot:
            raise ConfigError(f"{refusal} To run it for the estimates alone, add --pilot.") from refusal
        plan = f"A pilot, for estimates alone: {refusal}"
    if not as_json:
        say(" ".join(spec.question.split()), "", *plan.split("\n"), "")

    from trimtab.cli.display import showing
    from trimtab.experiments import run_experiment

    with showing(None, as_json=as_json, how_to_continue=_CONTINUE) as context:
        result = run_experiment(spec, out, _run_options(spec, workers, executor, context))
    if result["verdicts"]:
        from trimtab.reports.experiment import write_report

        result["report"] = str(write_report(out)[0])
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
    else:
        for verdict in result["verdicts"]:
            if verdict["p_adjusted"] is not None or (spec.sequential and verdict["higher_is_better"] is not None):
                say("", verdict["sentence"])
        if failed := result["failed"]:
            first = f"{failed[0]['episode']}: {shortened(failed[0]['error'], 300)}"
            say("", f"{counted(len(failed), 'episode')} failed; the first, {first}")
        judged = f", the report is {result['report']}" if result["verdicts"] else ""
        say("", f"{result['status']}. Records in {out}{judged}.")
    if result["status"] == "interrupted":
        say(f"Interrupted. Continue with the same command: {command_line()}", err=True)
        raise typer.Exit(exit_code(context))
    if result["status"] == "failed":
        raise typer.Exit(1)


@working()
def aa(
    experiment: Annotated[
        Path,
        typer.Argument(
            parser=user_path, help="The YAML file of an experiment, whose baseline, seeds and pairing are used."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", parser=user_path, help="The folder; if this A/A experiment is there already, it is continued."
        ),
    ],
    overrides: Set = None,
    copies: Annotated[int, typer.Option(min=2, help="Runs per seed, which differ in the dropout draw alone.")] = 3,
    draws: Annotated[int, typer.Option(min=100, help="A/A experiments resampled from those runs.")] = 500,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes, as for `trimtab run`.")] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure the noise floor and the false alarms of equal arms (A/A).

    The arms differ in the dropout draw alone. A false alarm is an A/A experiment in which the verdict rule finds a difference.

    trimtab aa configs/regime_controller.yaml --out runs/aa
    """
    from trimtab.cli.display import showing
    from trimtab.config import allowing_code
    from trimtab.experiments import load_experiment
    from trimtab.experiments.aa import run_aa

    with allowing_code(allow_code):
        spec = load_experiment(experiment, overrides or ())
    with showing(None, as_json=as_json, how_to_continue=_CONTINUE) as context:
        result = run_aa(spec, out, copies, draws, _run_options(spec, workers, None, context))
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
    elif result["status"] == "completed":
        say(
            "",
            f"Noise floor of {result['metric']}: the standard deviation of a paired difference between equal arms is "
            f"{result['noise_floor']:.4g} ({result['pairing']} pairs, {result['seeds']} seeds of {copies} runs).",
            f"Of {result['draws']} resampled A/A experiments of {result['n']} pairs, {result['alarms']} had a false alarm: "
            f"{result['rate']:.3f} (95% interval {result['low']:.3f} to {result['high']:.3f}; the claim's level is "
            f"{result['alpha']:g}).",
        )
    if result["status"] != "completed":
        say(f"{result['status']}. Continue with the same command: {command_line()}", err=True)
        raise typer.Exit(exit_code(context) if result["status"] == "interrupted" else 1)


_CONTINUE = "Continue with the same command."


def _run_options(spec: "Experiment", workers: int | None, executor: str | None, context: "RunContext") -> "RunOptions":
    from trimtab.experiments import RunOptions

    return RunOptions(
        workers=worker_count(_threads(spec.base)) if workers is None else workers,
        executor=executor,
        stop=context.stop,
        events=context.events,
        command=context.command,
    )


def _threads(base: dict[str, Any]) -> object:
    """The threads of one training run, also where the episodes are searches."""
    run = base.get("run")
    return run.get("threads") if isinstance(run, dict) else base.get("threads")


def worker_count(threads: object) -> int:
    """As many workers as fill the cores; 0, for this process, where one run takes them all."""
    from trimtab.records.cpus import usable_cpus

    cores = usable_cpus()
    count = cores // threads if isinstance(threads, int) and threads > 0 else 1
    return count if count > 1 else 0

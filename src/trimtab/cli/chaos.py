"""`trimtab chaos`: how fast nearly equal runs separate."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AcceptChanges, AllowCode, AsJson, Run, check_run
from trimtab.errors import RunError


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(chaos)


@working()
def chaos(
    run: Run,
    at: Annotated[int, typer.Option("--at", help="The step after which the perturbed copies start; at least 1.")],
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The new folder for chaos.json and the plots.")],
    steps: Annotated[int, typer.Option("--steps", help="Steps over which the exponent is measured.")] = 100,
    epsilon: Annotated[
        float, typer.Option("--epsilon", callback=finite, help="Relative size of the perturbation.")
    ] = 1e-5,
    copies: Annotated[
        int, typer.Option("--copies", help="Number of copies, each perturbed in its own random direction.")
    ] = 3,
    renormalise_every: Annotated[
        int, typer.Option("--renormalise-every", help="Steps after which a copy is scaled back to --epsilon.")
    ] = 1,
    discard: Annotated[int, typer.Option("--discard", help="Warm-up steps that are run first and not counted.")] = 20,
    accept_changes: AcceptChanges = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure the largest Lyapunov exponent of a run at a step.

    It is the rate at which perturbed copies of the run move away from it. Above 0, a rounding error grows
    exponentially; the plot shows it.

    trimtab chaos runs/first --at 200 --out runs/first-chaos
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists already, and the results need a new folder. Choose another --out.")
    check_run(run)
    from trimtab.cli.display import Display, console_for

    try:
        with Display(console_for(as_json=True)) as display:
            from trimtab.training.runs.chaos import chaos as measure

            result = measure(
                run,
                at,
                steps=steps,
                epsilon=epsilon,
                copies=copies,
                renormalise_every=renormalise_every,
                discard=discard,
                accept_changes=accept_changes,
                allow_code=allow_code,
                events=display,
            )
    except KeyboardInterrupt:
        say("Stopped. Nothing was written; run the command again.", err=True)
        raise typer.Exit(130) from None
    _write(result, out)
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
    else:
        say(_summary(result, out))


def _write(result: dict[str, Any], out: Path) -> None:
    from trimtab.records.atomic import write_json
    from trimtab.reports.divergence import divergence

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the folder {out}: {error.strerror}. Choose another --out.") from error
    divergence(result, out)
    write_json(out / "chaos.json", result)


def _summary(result: dict[str, Any], out: Path) -> str:
    value, interval = result["exponent"], result["interval"]
    known = "" if interval is None else f" (95% interval {interval[0]:+.4f} to {interval[1]:+.4f})"
    if not math.isfinite(value):
        sense = "A copy became equal to the run, or was rewound where the run was not"
    elif interval is not None and interval[0] <= 0 <= interval[1]:
        sense = "The interval contains 0: these steps do not decide whether nearby runs separate"
    elif value > 0:
        sense = f"Nearby runs separate, by a factor e in {1 / value:.0f} steps"
    else:
        sense = "Nearby runs come together"
    count = len(result["copies"])
    spread = f"{result['lowest']:+.4f} to {result['highest']:+.4f} over {count} copies" if count > 1 else "one copy"
    return (
        f"Largest Lyapunov exponent after step {result['at']}: {value:+.4f} nats per step{known}, {spread}. {sense}. Written: "
        f"{out / 'chaos.json'}, "
        f"{out / 'divergence.svg'} and .png."
    )

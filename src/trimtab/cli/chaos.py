"""`trimtab chaos`: how fast two almost equal runs part."""

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
    at: Annotated[int, typer.Option("--at", help="The step after which the twins begin; 1 at least.")],
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The new folder for chaos.json and the plots.")],
    steps: Annotated[int, typer.Option("--steps", help="Steps that the exponent is measured over.")] = 100,
    epsilon: Annotated[
        float, typer.Option("--epsilon", callback=finite, help="How far apart the twins are, relative.")
    ] = 1e-5,
    twins: Annotated[int, typer.Option("--twins", help="Twins, each in a random direction of its own.")] = 3,
    renormalise_every: Annotated[
        int, typer.Option("--renormalise-every", help="Steps after which a twin is pulled back.")
    ] = 1,
    discard: Annotated[int, typer.Option("--discard", help="Steps before those that are counted.")] = 20,
    accept_changes: AcceptChanges = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure the largest Lyapunov exponent of a recorded run at a step, from twins forked there.

    trimtab chaos runs/first --at 400 --out runs/first-chaos

    Above 0, a rounding error grows until nothing of the original path is left; the plot shows it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there already, and what is measured needs a new folder. Choose another --out.")
    check_run(run)
    from trimtab.cli.display import Display, console_for

    try:
        with Display(console_for(as_json=True)) as display:
            from trimtab.training.runs.chaos import chaos as measure

            found = measure(
                run,
                at,
                steps=steps,
                epsilon=epsilon,
                twins=twins,
                renormalise_every=renormalise_every,
                discard=discard,
                accept_changes=accept_changes,
                allow_code=allow_code,
                events=display,
            )
    except KeyboardInterrupt:
        say("Stopped. Nothing was written; run the command again to measure from the start.", err=True)
        raise typer.Exit(130) from None
    _write(found, out)
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(found)))
    else:
        say(_account(found, out))


def _write(found: dict[str, Any], out: Path) -> None:
    from trimtab.records.atomic import write_json
    from trimtab.reports.divergence import divergence

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the folder {out}: {error.strerror}. Choose another --out.") from error
    divergence(found, out)
    write_json(out / "chaos.json", found)


def _account(found: dict[str, Any], out: Path) -> str:
    value, interval = found["exponent"], found["interval"]
    known = "" if interval is None else f" (95% interval {interval[0]:+.4f} to {interval[1]:+.4f})"
    if not math.isfinite(value):
        sense = "A twin met the run exactly, or was rewound without it"
    elif interval is not None and interval[0] <= 0 <= interval[1]:
        sense = "The interval holds 0: whether nearby runs part is not decided over these steps"
    elif value > 0:
        sense = f"Nearby runs part, e-fold in {1 / value:.0f} steps"
    else:
        sense = "Nearby runs come together"
    count = len(found["twins"])
    spread = f"{found['lowest']:+.4f} to {found['highest']:+.4f} over {count} twins" if count > 1 else "one twin"
    return (
        f"Largest Lyapunov exponent after step {found['at']}: {value:+.4f} nats a step{known}, {spread}. {sense}. Written: "
        f"{out / 'chaos.json'}, "
        f"{out / 'divergence.svg'} and .png."
    )

"""`trimtab evidence`: verdicts on any table of results."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import deliver, say
from trimtab.cli.table import say_table
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.evidence import Verdict


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(evidence)


def evidence(
    file: Annotated[
        Path,
        typer.Argument(parser=user_path, help="A CSV file with the columns arm and seed, and one column per metric."),
    ],
    claim: Annotated[
        list[str] | None,
        typer.Option(
            "--claim",
            help="'METRIC lower|higher MARGIN [trimmed|log]', fixed before the runs. May be repeated.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="The arm to compare with; default: 'baseline', else the first."),
    ] = None,
    pairing: Annotated[
        str | None, typer.Option("--pairing", help="seed or fork; default: fork if the file has a column trunk.")
    ] = None,
    repeat: Annotated[
        str | None,
        typer.Option(
            "--repeat", help="An arm that repeats the baseline (A/A), from which the noise floor is computed."
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option("--alpha", callback=finite, help="The probability of a false claim, shared by all claims.")
    ] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list with one entry per comparison.")] = False,
) -> None:
    """Compute verdicts on a table of results. Without a claim: estimates alone.

    trimtab evidence results.csv --baseline plain --claim 'val_loss lower 0.02'

    Optional columns: trunk, diverged (1 or 0, true or false), untrained_METRIC (the untrained model's metric, used for
    a diverged run).
    """
    from trimtab.evidence import judge_table, parse_claim, read_table
    from trimtab.evidence.claims import LEVELS, is_level
    from trimtab.records.values import to_json

    if pairing not in (None, "seed", "fork"):
        raise ConfigError(f"--pairing takes seed or fork; got '{pairing}'.")
    if not is_level(alpha):
        raise ConfigError(f"--alpha takes a number that is {LEVELS}; got {alpha}.")
    claims = [parse_claim(text, alpha) for text in claim or []]
    verdicts = judge_table(read_table(file), claims, baseline=baseline, pairing=pairing, repeat=repeat)  # type: ignore[arg-type]
    if as_json:
        deliver(json.dumps([to_json(verdict.as_dict()) for verdict in verdicts]))
        return
    if sys.stdout.isatty():
        _print_table(verdicts)
    for verdict in verdicts:
        say(verdict.sentence)
    if not claims:
        say("No claim was given, so there is no verdict. Name one before the run: --claim 'METRIC lower MARGIN'.")


def _print_table(verdicts: "list[Verdict]") -> None:
    from trimtab.evidence.wording import percent

    columns = ("metric", "treatment", "verdict", "difference", "interval", "p", "wins", "E", "n", "noise floor")
    table = []
    for verdict in verdicts:
        low, high = verdict.confidence_interval
        table.append(
            (
                verdict.metric,
                verdict.treatment,
                verdict.verdict,
                f"{verdict.mean_difference:+.4g}",
                f"{low:+.4g} to {high:+.4g}",
                f"{verdict.p_value if verdict.p_adjusted is None else verdict.p_adjusted:.2g}",
                "" if verdict.p_win is None else percent(verdict.p_win, 0),
                f"{verdict.e_value:.3g}",
                str(verdict.n),
                "" if verdict.noise_floor is None else f"{verdict.noise_floor:.3g}",
            )
        )
    say_table(columns, table, right=columns[3:])

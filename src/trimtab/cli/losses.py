"""`trimtab losses check`: whether each loss has the bias that it states."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.output import deliver, say
from trimtab.cli.table import say_table
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.losses.propriety import ProprietyResult


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Check losses for their bias.", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_losses)
    group.command()(check)
    app.add_typer(group, name="losses")


def _losses() -> None:
    """Check losses for their bias."""


def check(
    losses: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names, dotted paths 'package.module:Name' or '{name: NAME, key: value}'; default: all losses."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list with one entry per fit.")] = False,
) -> None:
    """Fit a known distribution with each loss and compare the confidence.

    A bias is none, over (more confident than the truth) or under.

    trimtab losses check focal my_package.losses:MyLoss

    The exit code is 1 if a loss has another bias than it states. A loss states it as an attribute:
    `bias = "none"`, "over" or "under".
    """
    import torch

    from trimtab.losses.propriety import check_all
    from trimtab.records.values import to_json

    torch.set_num_threads(1)  # the fits are tiny
    results = check_all([_spec(text) for text in losses] if losses else None)
    if as_json:
        deliver(json.dumps([to_json(result.as_dict()) for result in results]))
    else:
        _print(results)
    if not all(result.as_stated for result in results):
        raise typer.Exit(1)


def _spec(text: str) -> dict[str, Any]:
    from trimtab.config.yaml_file import parse_value

    if not text.lstrip().startswith("{"):
        return {"name": text}
    spec = parse_value(text, "losses check")
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise ConfigError(f"losses check: '{text}' does not name a loss. Write {{name: NAME, key: value}}.")
    return spec


def _print(results: "list[ProprietyResult]") -> None:
    columns = ("loss", "parameters", "fitted", "stated", "measured", "confidence", "contexts", "KL", "")
    rows = [
        (
            result.loss,
            ", ".join(f"{key}: {_short(value)}" for key, value in result.parameters.items()),
            _setting(result),
            result.stated or "",
            result.measured,
            f"{result.confidence_bias:+.4f}",
            f"{result.lowest:+.3f} to {result.highest:+.3f}",
            f"{result.divergence:.4f}",
            _judged(result),
        )
        for result in results
    ]
    say_table(columns, rows, right={"confidence", "contexts", "KL"})
    say(
        "confidence: mean top probability minus the truth's; contexts: that of the lowest and the highest context; KL: from "
        "the truth to the fit, in nats."
    )


def _setting(result: "ProprietyResult") -> str:
    if result.weight is not None:
        return f"cross-entropy + {result.weight:g} × loss"
    return "alone, among numbers" if result.conditional else "alone"


def _judged(result: "ProprietyResult") -> str:
    if not result.converged:
        return "not converged"
    if result.stated is None:
        return "states no bias"
    return "as stated" if result.as_stated else "NOT AS STATED"


def _short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return " + ".join(str(term["name"]) for term in value)
    return str(value)

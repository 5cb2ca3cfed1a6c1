"""Commands on learned controllers: fit."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import deliver, say
from trimtab.cli.running import AllowCode, AsJson
from trimtab.cli.table import say_table
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.experiments.decisions import Ledger
    from trimtab.regimes.fitting import Fitted


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Learned controllers.", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_controllers)
    group.command()(fit)
    app.add_typer(group, name="controller")


def _controllers() -> None:
    """Learned controllers."""


def fit(
    experiments: Annotated[
        list[Path],
        typer.Argument(parser=user_path, help="Folders of experiments with measured effects of interventions."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", parser=user_path, help="The folder of the policy; a policy that is there is replaced."),
    ],
    method: Annotated[
        Literal["ridge", "q"],
        typer.Option(help="ridge: the effect of one action; q: with the actions of the policy afterwards."),
    ] = "ridge",
    metric: Annotated[
        Literal["val_loss", "train_loss"], typer.Option(help="The effect that the policy lowers.")
    ] = "val_loss",
    discount: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, callback=finite, help="Discount per step, for the method q only; 0.98 unless given."
        ),
    ] = None,
    hold_out: Annotated[
        float,
        typer.Option(
            min=0.05, max=0.5, callback=finite, help="Share of the seeds held out to measure the predictions."
        ),
    ] = 0.25,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Fit a policy for the controller `learned` to recorded interventions.

    It learns from the decisions of the controllers `exploring` and `learned`. The predictions are measured on held-out
    seeds; then the policy is fitted to all of them. The mean effect of the held-out decisions that the policy would also
    make estimates what the policy gains only where `exploring` made them.

    trimtab run configs/learned_controller_ledger.yaml --out runs/ledger

    trimtab controller fit runs/ledger --out runs/policy
    """
    from trimtab.config import allowing_code
    from trimtab.experiments.decisions import read_ledger
    from trimtab.regimes.fitting import DISCOUNT
    from trimtab.regimes.fitting import fit as fitted_to
    from trimtab.regimes.policy import policy_target, save_policy

    if discount is not None and method != "q":
        raise ConfigError(f"--discount is for --method q, and the method is {method}. Leave it out, or add --method q.")
    discount = DISCOUNT if discount is None else discount
    policy_target(out)
    with allowing_code(allow_code):
        ledger = read_ledger(experiments, metric)
    measured = _measured(ledger, method, discount, hold_out)
    whole = fitted_to(ledger.points, method, ledger.card, discount)
    save_policy(whole.policy, out)
    penalties = {action: model.penalty for action, model in whole.models.items()}
    if as_json:
        from trimtab.records import to_json

        counts = {name: getattr(ledger, name) for name in ("runs", "recorded", "decisions", "unmeasured", "not_finite")}
        result = {"out": str(out), "card": whole.policy.card, **counts, "penalties": penalties, **measured}
        deliver(json.dumps(to_json(result)))
        return
    _print(ledger, whole, measured)
    say(f"Policy in {out}. Use it by episode.regime_controller='{{name: learned, path: {out}}}'.")


def _measured(ledger: "Ledger", method: Literal["ridge", "q"], discount: float, hold_out: float) -> dict[str, Any]:
    """The predictions for held-out seeds, by a policy that is fitted to the others. Raises ConfigError with too few seeds."""
    from trimtab.regimes.fitting import fit as fitted_to
    from trimtab.regimes.held_out import predictions, split_seeds, value

    held = split_seeds(ledger.seeds, hold_out)
    if not held:
        raise ConfigError(
            f"The decisions are of {len(ledger.seeds)} seeds: too few to hold out some of them and fit to at least two. Run the "
            "experiment with more seeds."
        )
    rest = [point for point in ledger.points if point.seed not in held]
    test = [point for point in ledger.points if point.seed in held]
    if not any(point.action is not None for point in rest):
        raise ConfigError(
            "No decision is left to fit to without the held-out seeds. Run the experiment with more seeds."
        )
    policy = fitted_to(rest, method, ledger.card, discount).policy
    return {
        "held_out_seeds": held,
        "predictions": [asdict(row) for row in predictions(policy, test)],
        "value": asdict(value(policy, test)),
    }


def _print(ledger: "Ledger", whole: "Fitted", measured: dict[str, Any]) -> None:
    from trimtab.boundary import counted

    held, value = measured["held_out_seeds"], measured["value"]
    known = f"{ledger.decisions - ledger.unmeasured} of {counted(ledger.decisions, 'decision')}"
    say(
        f"{known} in {counted(ledger.runs, 'run')} have a measured effect on {ledger.metric}; "
        f"{counted(len(held), 'seed')} of {len(ledger.seeds)} held out."
    )
    if ledger.runs < ledger.recorded:
        say(f"{ledger.runs} of {counted(ledger.recorded, 'run')} have effects; the others are left out.")
    if ledger.not_finite:
        say(f"{counted(ledger.not_finite, 'effect')} recorded as nan or infinite: counted as not measured.")
    say("")
    columns = ("action", "held out", "mean effect", "R²", "rank corr.", "right signs", "never right", "penalty")
    say_table(
        columns,
        [
            (
                row["action"],
                row["decisions"],
                f"{row['mean_effect']:+.4f}",
                f"{row['r_squared']:.2f}",
                f"{row['rank_correlation']:.2f}",
                f"{row['right_signs']:.0%}",
                f"{row['never_right']:.0%}",
                f"{whole.models[row['action']].penalty:g}",
            )
            for row in measured["predictions"]
        ],
        right=columns[1:],
    )
    say("")
    if value["agreeing"]:
        say(
            f"Held-out decisions that the policy would also make: {value['agreeing']} of {value['decisions']}, mean effect "
            f"{value['mean_effect']:+.4f}, weighted by the number of possible actions (of all: {value['mean_of_all']:+.4f}; "
            "never acting: 0). It estimates the policy's gain only where the decisions are those of `exploring`, which draws "
            "them at random."
        )
    else:
        say(f"The policy would make none of the {value['decisions']} held-out decisions.")

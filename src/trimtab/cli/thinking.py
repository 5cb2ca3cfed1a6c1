"""The command `think`: a thought, an answer, and what the model had decided."""

import json
from typing import Annotated, Any

import typer

from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AllowCode, AsJson, Run, check_run
from trimtab.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(think)


@working()
def think(
    run: Run,
    prompt: Annotated[str, typer.Option(help="The question.")],
    budget: Annotated[
        str,
        typer.Option(help="Thought tokens at most: auto is the predicted budget, none is no limit, 0 is no thought."),
    ] = "auto",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of thought and answer together, at most.")] = 256,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token at each step.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The seed of the draws, at a temperature above 0.")] = 0,
    modulate: Annotated[
        bool,
        typer.Option(
            "--modulate", help="Draw more freely the less sure the model is, by segment; with a temperature above 0."
        ),
    ] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Let a metacognitive model think about a question and answer it.

    trimtab think runs/routes --prompt 'xy.bc ab cd.a2?'

    trimtab think runs/routes --prompt 'xy.bc ab cd.a2?' --budget 3
    """
    limit = _limit(budget)
    if modulate and temperature == 0:
        raise ConfigError("--modulate changes draws, and at --temperature 0 nothing is drawn. Set --temperature 1.")
    check_run(run)
    from trimtab.metacognition.modulation import Modulation
    from trimtab.metacognition.thinking_run import thought

    result = thought(
        run,
        prompt,
        limit=limit,
        tokens=tokens,
        temperature=temperature,
        seed=seed,
        modulation=Modulation() if modulate else None,
        allow_code=allow_code,
    )
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
        return
    for refused in result["refused_checkpoints"]:
        say(refused, err=True)
    deliver("\n".join(_lines(result)))


def _limit(budget: str) -> Any:
    if budget == "auto":
        return "auto"
    if budget == "none":
        return None
    if budget.isascii() and budget.isdecimal() and len(budget) <= 9:
        return int(budget)
    raise ConfigError(f"--budget must be auto, none or a number of tokens (0 for no thought), but is {budget[:40]!r}.")


def _sure(result: dict[str, Any]) -> str:
    if "sure" not in result:
        return " (not calibrated)"
    return ", which is sure" if result["sure"] else ", which is not sure"


def _lines(result: dict[str, Any]) -> list[str]:
    """What was thought, answered and decided, a line each."""
    ended = "closed by its budget" if result["forced"] else "closed by the model" if result["closed"] else "not closed"
    cap = "no limit" if result["cap"] is None else f"a budget of {result['cap']}"
    lines = [
        f"thought: {result['thought']}" if result["thought"] else "thought: (none)",
        f"answer: {result['answer'].strip()}",
        f"used {result['think_tokens_used']} tokens of {cap}, {ended}",
    ]
    if "confidence" in result:
        plan = max(range(len(result["plan"])), key=result["plan"].__getitem__)
        lines += [
            f"predicted: a budget of {result['predicted_cap']}, a use of {result['predicted_use']:.1f} under this one",
            f"confidence: {result['confidence']:.2f} under this budget{_sure(result)}",
            f"plan: {plan} ({result['plan'][plan]:.2f})",
        ]
    return lines

"""Commands on content memory: run, show, ask."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trimtab.boundary import user_path
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AcceptChanges, AllowCode, AsJson, check_new

if TYPE_CHECKING:
    from trimtab.memory.store import Memory
    from trimtab.runtime.events import Row

memory_app = typer.Typer(
    help="Content memory: vectors that make a frozen model produce a question and its answer.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(parser=user_path, help="The folder of a memory run.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as vectors=16. May be repeated."),
]
PairName = Annotated[str, typer.Argument(help="The id of a pair, as in pairs.jsonl.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(memory_app, name="memory")


@memory_app.command("run")
@working()
def run(
    config: Annotated[Path, typer.Argument(parser=user_path, help="The YAML file of a memory run.")],
    out: Annotated[
        Path,
        typer.Option("--out", parser=user_path, help="The run's folder; a run that is there is continued."),
    ],
    overrides: Set = None,
    no_gates: Annotated[bool, typer.Option("--no-gates", help="Continue where a gate would stop the run.")] = False,
    accept_changes: AcceptChanges = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Run the protocol of content memory.

    Its stages: baselines, each side alone, both sides together, controls, greedy decoding, ablations, analysis.

    trimtab memory run configs/memory_squad.yaml --set pairs.path=dev-v2.0.json --out runs/squad
    """
    from trimtab.config import allowing_code
    from trimtab.config.load import load_root
    from trimtab.memory.config import MemoryConfig
    from trimtab.records import RunDirectory

    if not RunDirectory(out).exists():
        check_new(out)
    with allowing_code(allow_code):
        loaded = load_root(MemoryConfig, config, overrides or ())
    from trimtab.cli.display import showing

    with showing(MemoryWords(), as_json=as_json, how_to_continue="Continue with the same command.") as context:
        from trimtab.memory.run import run_memory
        from trimtab.reports.memory import write_report

        result = run_memory(loaded, out, replace(context, gates=not no_gates), accept_changes=accept_changes)
        report = write_report(out)[0]
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json({**result, "report": str(report)})))
    else:
        say("", f"{_summary(result)} Records in {out}, the report is {report}.")
    if result["status"] == "interrupted":
        say("Continue with the same command.", err=True)
        raise typer.Exit(getattr(context.stop, "exit_code", 130))
    if result["status"] == "stopped":
        raise typer.Exit(1)


@memory_app.command()
def show(folder: Folder, pair: PairName, allow_code: AllowCode = False, as_json: AsJson = False) -> None:
    """Decode one memory under both modes and compare with the stored text.

    trimtab memory show runs/squad 56ddde6b9a695914005b9629
    """
    memory, texts = _decoded(folder, pair, ("question", "answer"), allow_code)
    card = memory.card
    if as_json:
        deliver(json.dumps({"pair": pair, "question": card.question, "answer": card.answer, "texts": texts}))
        return
    say(
        f"{card.vectors} vectors, {card.layout}, found in {card.steps} steps from starting point {card.restart + 1}; "
        f"smallest margin {card.margin:.2f} logits."
    )
    for side, wanted in (("question", card.question), ("answer", card.answer)):
        word = "as stored" if texts[side] == wanted else f"stored was: {wanted}"
        say(f"{side}: {texts[side]}  [{word}]")


@memory_app.command()
def ask(
    folder: Folder,
    pair: PairName,
    mode: Annotated[Literal["question", "answer"], typer.Option(help="Which text to decode.")] = "answer",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Print the text that one memory gives under one mode.

    trimtab memory ask runs/squad 56ddde6b9a695914005b9629 --mode answer
    """
    _, texts = _decoded(folder, pair, (mode,), allow_code)
    deliver(json.dumps({"pair": pair, "mode": mode, "text": texts[mode]}) if as_json else texts[mode])


def _decoded(folder: Path, pair: str, modes: tuple[str, ...], allow_code: bool) -> "tuple[Memory, dict[str, str]]":
    from trimtab.memory.recall import recall

    return recall(folder, pair, modes, allow_code=allow_code)


def _summary(result: dict[str, Any]) -> str:
    metrics, sentences = result["metrics"], [f"{result['status'].capitalize()}."]
    if (joint := metrics.get("joint")) is not None:
        solved = f"{joint['solved']} of {joint['pairs']} pairs"
        between = f"95% interval {joint['low']:.0%} to {joint['high']:.0%}"
        so_far = result["status"] == "interrupted"
        sentences.append(f"{solved} are solved so far." if so_far else f"Solved {solved} ({between}).")
    sentences += [
        f"Greedy decoding in {precision} reproduces question and answer of {metrics[f'pass_{precision}']['solved']} of "
        f"{metrics[f'pass_{precision}']['pairs']} pairs."
        for precision in ("fp32", "bf16")
        if f"pass_{precision}" in metrics
    ]
    return " ".join(sentences)


class MemoryWords:
    """Puts steps and events into words; a memory run has no evaluations."""

    def step(self, row: "Row") -> str:
        """How many pairs are solved, and the engine's figures."""
        pace = float(row["seconds"]) / max(1, row["in_flight"]) * 1000
        return (
            f"step {row['step']}  {row['solved']} solved  {row['in_flight']} in flight  loss {float(row['mean_loss']):.3f}  "
            f"{pace:.0f} ms per pair and step"
        )

    def evaluation(self, row: "Row") -> str:
        """Nothing."""
        del row
        return ""

    def occurrence(self, row: "Row") -> list[str]:
        """The reason alone: it is a sentence of its own."""
        return [] if row["kind"] == "end" else [row["reason"]]

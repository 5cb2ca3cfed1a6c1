"""Commands on content memory: run, show, ask."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trimtab.boundary import counted, printable, user_path
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AcceptChanges, AllowCode, AsJson, say_stopping

if TYPE_CHECKING:
    from trimtab.memory.engine.solve import SolverStep
    from trimtab.memory.store import Memory

memory_app = typer.Typer(
    help="Find vectors that make a frozen model say a question and its answer.", no_args_is_help=True
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
    config: Annotated[Path, typer.Argument(parser=user_path, help="A memory run's YAML.")],
    out: Annotated[
        Path, typer.Option("--out", parser=user_path, help="The run's folder; one that holds it is gone on with.")
    ],
    overrides: Set = None,
    no_gates: Annotated[bool, typer.Option("--no-gates", help="Go on where a gate would stop the run.")] = False,
    accept_changes: AcceptChanges = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Run the protocol: baselines, each side alone, both together, controls, greedy decoding, ablations, analysis.

    trimtab memory run configs/memory_squad.yaml --set pairs.path=dev-v2.0.json --out runs/squad
    """
    from trimtab.config import allowing_code
    from trimtab.config.load import load_root
    from trimtab.memory.config import MemoryConfig

    with allowing_code(allow_code):
        loaded = load_root(MemoryConfig, config, overrides or ())
    with _watching(as_json) as watcher:
        from trimtab.memory.run import run_memory
        from trimtab.reports.memory import write_report

        command = ("trimtab", *sys.argv[1:])
        result = run_memory(loaded, out, watcher, gated=not no_gates, accept_changes=accept_changes, command=command)
        report = write_report(out)[0]
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json({**result, "report": str(report)})))
    else:
        say("", f"{_account(result)} Records in {out}, the report is {report}.")
    if result["status"] == "interrupted":
        say("Go on with the same command.", err=True)
        raise typer.Exit(watcher.exit_code)
    if result["status"] == "stopped":
        raise typer.Exit(1)


@memory_app.command()
def show(folder: Folder, pair: PairName, allow_code: AllowCode = False, as_json: AsJson = False) -> None:
    """Decode one memory under both modes, beside what it was found for.

    trimtab memory show runs/squad 56ddde6b9a695914005b9629
    """
    memory, said = _said(folder, pair, ("question", "answer"), allow_code)
    card = memory.card
    if as_json:
        deliver(json.dumps({"pair": pair, "question": card.question, "answer": card.answer, "said": said}))
        return
    say(
        f"{card.vectors} vectors, {card.layout}, found in {card.steps} steps of start {card.restart + 1}; smallest margin "
        f"{card.margin:.2f} logits."
    )
    for side, wanted in (("question", card.question), ("answer", card.answer)):
        word = "as stored" if said[side] == wanted else f"stored was: {wanted}"
        say(f"{side}: {said[side]}  [{word}]")


@memory_app.command()
def ask(
    folder: Folder,
    pair: PairName,
    mode: Annotated[Literal["question", "answer"], typer.Option(help="What the memory is asked for.")] = "answer",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Print what the model says from one memory under one mode.

    trimtab memory ask runs/squad 56ddde6b9a695914005b9629 --mode answer
    """
    _, said = _said(folder, pair, (mode,), allow_code)
    deliver(json.dumps({"pair": pair, "mode": mode, "said": said[mode]}) if as_json else said[mode])


def _said(folder: Path, pair: str, modes: tuple[str, ...], allow_code: bool) -> "tuple[Memory, dict[str, str]]":
    from trimtab.memory.recall import recall

    return recall(folder, pair, modes, allow_code=allow_code)


def _account(result: dict[str, Any]) -> str:
    metrics, told = result["metrics"], [f"{result['status'].capitalize()}."]
    if (joint := metrics.get("joint")) is not None:
        solved = f"{joint['solved']} of {joint['pairs']} pairs"
        between = f"95% interval {joint['low']:.0%} to {joint['high']:.0%}"
        so_far = result["status"] == "interrupted"
        told.append(f"{solved} are solved so far." if so_far else f"Solved {solved} ({between}).")
    told += [
        f"Greedy decoding in {precision} says question and answer of {metrics[f'pass_{precision}']['solved']}."
        for precision in ("fp32", "bf16")
        if f"pass_{precision}" in metrics
    ]
    return " ".join(told)


_EVERY = 15.0
"""Seconds between two lines of a stage where there is no terminal."""


class _Watcher:
    """Plain lines, or one line that is kept up to date on a terminal."""

    def __init__(self, stop: Any, quiet: bool) -> None:
        self._stop, self._quiet = stop, quiet
        self._live = sys.stderr.isatty() and not quiet
        self._pairs, self._told = 0, 0.0

    def begin(self, stage: str, pairs: int) -> None:
        """A stage begins."""
        self._stop.arm()
        self._pairs, self._told = pairs, 0.0
        self.say(f"{stage}: {counted(pairs, 'pair')}")

    def step(self, stage: str, step: "SolverStep", solved: int, ended: int) -> None:
        """The engine made a step."""
        text = (
            f"{stage}: step {step.number}, {solved} solved, {ended} of {self._pairs} ended, {step.in_flight} in flight, "
            f"loss {step.mean_loss:.3f}, {step.seconds / step.in_flight * 1000:.0f} ms a pair-step"
        )
        if self._live:
            sys.stderr.write(f"\r\x1b[K{printable(text)}")
            sys.stderr.flush()
        elif not self._quiet and (time.monotonic() - self._told > _EVERY or ended == self._pairs):
            self._told = time.monotonic()
            say(text, err=True)

    def say(self, text: str) -> None:
        """Something to tell."""
        if not self._quiet:
            if self._live:
                sys.stderr.write("\r\x1b[K")
            say(text, err=True)

    @property
    def exit_code(self) -> int:
        """The exit code of a run that a signal ended."""
        return int(self._stop.exit_code)

    def stop(self) -> str | None:
        """The reason to stop, or None."""
        reason: str | None = self._stop()
        return reason


@contextmanager
def _watching(quiet: bool) -> Iterator[_Watcher]:
    from trimtab.runtime.signals import StopOnSignal

    with StopOnSignal(say_stopping) as stop:
        try:
            yield _Watcher(stop, quiet)
        except KeyboardInterrupt:
            say("Stopped at once. What was finished is kept: go on with the same command.", err=True)
            raise typer.Exit(stop.exit_code) from None

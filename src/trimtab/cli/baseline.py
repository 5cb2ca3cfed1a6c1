"""`trimtab baseline`: trains the default model on the built-in corpus and compares its loss with the expected one."""

import json
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import say, working
from trimtab.cli.running import finish, showing_training
from trimtab.cli.table import say_table

_MEASURED_STEPS = 6
_ROUND = 100


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(baseline)


@working()
def baseline(
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The folder of the run.")] = Path(
        "runs/baseline"
    ),
    minutes: Annotated[float, typer.Option(min=0.1, callback=finite, help="About how long the training takes.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the run.")] = 0,
) -> None:
    """Train the default model for about three minutes.

    The loss is compared with the recorded one of the same corpus and number of steps.

    trimtab baseline --out runs/baseline
    """
    from trimtab.records import RunDirectory

    run = RunDirectory(out)
    if run.exists():
        say(f"{out} holds a run already, which is continued. Remove the folder to start again.")
        with showing_training(as_json=False) as context:
            from trimtab.training import resume

            result = resume(out, context=context)
    else:
        from trimtab.training.config import load_config
        from trimtab.training.runs.lifecycle import begin

        run.check_free()
        base = [f"seed={seed}", "episode.evaluate_every=100"]
        steps = _steps_within(load_config(None, base), minutes * 60)
        config = load_config(None, [*base, f"episode.steps={steps}"])
        say(f"Training the default model for {steps} steps on the CPython language documentation.")
        with showing_training(as_json=False) as context:
            result = begin(config, out, context)
    _samples(run)
    _expectation(run)
    finish(result, out, False, context)


def _steps_within(config: Any, seconds: float) -> int:
    """How many steps fit, from a few steps timed on this machine; a multiple of 100."""
    import statistics

    from trimtab.training import MemoryLogger
    from trimtab.training.runs.assembly import assemble

    logger = MemoryLogger()
    assembly = assemble(config)
    trainer = assembly.trainer(logger, lambda: "timed" if len(logger.steps) >= _MEASURED_STEPS else None)
    trainer.train(assembly.train_loader, assembly.val_loader)
    step = statistics.median(float(row["seconds"]) for row in logger.steps[2:])
    return max(_ROUND, int(0.9 * seconds / step) // _ROUND * _ROUND)


def _samples(run: Any) -> None:
    rows = [row for row in run.evaluations() if row.get("sample")]
    if not rows:
        return
    columns = ("step", "validation loss", "dictionary words", "by letters", "character entropy", "4-gram repetition")
    table = []
    for row in rows:
        figures = row["sample"]["figures"]
        values = [
            figures[name]
            for name in ("dictionary_word_share", "dictionary_letter_share", "character_entropy", "repetition_4")
        ]
        table.append((row["step"], f"{row['val_loss']:.4f}", *("-" if v is None else f"{v:.2f}" for v in values)))
    say_table(columns, table, right=columns)
    last = rows[-1]
    say("", f"The sample of step {last['step']}:")
    say(*(last["sample"]["prompt"] + last["sample"]["text"]).split("\n"), "")


def _expectation(run: Any) -> None:
    """Compare the last validation loss with the recorded ones of the same corpus and step."""
    evaluations = run.evaluations()
    if not evaluations:
        return
    last = evaluations[-1]
    known = json.loads(resources.files("trimtab.cli").joinpath("expected.json").read_text(encoding="utf-8"))
    corpus = known["corpora"].get(run.manifest().data.fingerprint)
    if corpus is None:
        say(
            "No expected loss is recorded for this Python's documentation text (it differs by version); with "
            f"{known['reference']} it is {known['reference_losses']}."
        )
        return
    expected = corpus["val_loss"].get(str(last["step"]))
    if expected is None:
        say(f"Validation loss {last['val_loss']:.4f}; the recorded ones are of steps {', '.join(corpus['val_loss'])}.")
        return
    say(
        f"Validation loss {last['val_loss']:.4f} after {last['step']} steps; expected {expected['mean']:.4f} ± "
        f"{expected['sd']:.4f} (mean ± sd over {expected['seeds']} seeds)."
    )

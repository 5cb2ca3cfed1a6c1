"""How long a recipe takes to a held-out loss: the peer's recipe and ours on the same text, split and measure.

Every run is a process of its own, and its time is that from its start to the end of training, with start-up and the recipe's own
evaluations. The held-out loss is measured afterwards, over the whole validation split, in windows of the peer's context.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.bench import peer
from trimtab.bench.held_out import held_out_loss
from trimtab.data import WindowDataset
from trimtab.training import train
from trimtab.training.config import load_config, preset_path
from trimtab.training.runs.assembly import build_data
from trimtab.training.runs.sampling import load_model

PEER = "peer"
SAME = (
    "model={name: decoder, layers: 4, width: 128, heads: 4, ff: 512, dropout: 0.0}",
    f"data.context={peer.CONTEXT}",
    f"episode.steps={peer.STEPS}",
    f"episode.batch_size={peer.BATCH}",
    f"episode.optimizer={{name: adamw, lr: {peer.LR}, betas: [0.9, 0.99]}}",
    f"episode.schedule={{name: cosine, warmup: {peer.WARMUP}, final: {peer.LOWEST_LR / peer.LR}}}",
    f"episode.evaluate_every={peer.EVALUATE_EVERY}",
)
"""The peer's recipe as overrides of our defaults."""
RECIPES = (PEER, "same", "fast")
"""The peer's loop; the same recipe trained by Trimtab; the preset `fast`."""


def bench_time_to_loss(
    text: Path | None,
    seeds: int,
    threads: int,
    recipes: tuple[str, ...] = RECIPES,
    say: Callable[[str], None] = print,
    steps: int | None = None,
) -> dict[str, Any]:
    """Each recipe's times and held-out losses, by seed, and how many times faster ours are where they reach the peer's loss.

    The recipes take turns, in one order and then in the other. `steps` replaces the number of steps of every recipe (to try the
    benchmark itself).
    """
    with tempfile.TemporaryDirectory() as folder:
        _prepare(text, Path(folder))
        runs: dict[str, list[dict[str, float]]] = {recipe: [] for recipe in recipes}
        for seed in range(seeds):
            for recipe in recipes if seed % 2 == 0 else reversed(recipes):
                run = _measured(recipe, Path(folder), text, seed, threads, steps)
                runs[recipe].append(run)
                say(f"seed {seed}: {recipe} {run['seconds']:.1f} s to {run['loss']:.4f}")
    figures: dict[str, Any] = {"time_to_loss.seeds": seeds, "time_to_loss.threads": threads}
    for recipe, own in runs.items():
        figures[f"time_to_loss.{recipe}.seconds"] = statistics.median(run["seconds"] for run in own)
        figures[f"time_to_loss.{recipe}.loss"] = statistics.mean(run["loss"] for run in own)
        if recipe != PEER and PEER in runs:
            ratio = statistics.median(p["seconds"] / o["seconds"] for p, o in zip(runs[PEER], own, strict=True))
            reached = figures[f"time_to_loss.{recipe}.loss"] <= figures[f"time_to_loss.{PEER}.loss"]
            figures[f"time_to_loss.{recipe}.reached"] = reached
            figures[f"time_to_loss.{recipe}.times_faster"] = ratio if reached else None
    return figures | {"time_to_loss.runs": [{"recipe": r, **run} for r, own in runs.items() for run in own]}


def _prepare(text: Path | None, folder: Path) -> None:
    """Write the tokens of both splits, as the peer's loop reads them. Raises `DataError` for a text that is too short."""
    data = build_data(load_config(None, [*_of_text(text), f"data.context={peer.CONTEXT}"]))
    for split, dataset in (("train", data.train), ("validation", data.validation)):
        assert isinstance(dataset, WindowDataset)
        np.save(folder / f"{split}.npy", dataset.tokens)
    (folder / "text.json").write_text(json.dumps({"vocabulary": data.tokenizer.vocabulary}))


def _of_text(text: Path | None) -> list[str]:
    return [] if text is None else [f"data.path={json.dumps(str(text))}"]


def _measured(
    recipe: str, folder: Path, text: Path | None, seed: int, threads: int, steps: int | None
) -> dict[str, float]:
    started = repr(time.time())
    if recipe == PEER:
        arguments = ["trimtab.bench.peer", str(folder), str(seed), str(threads), str(steps or peer.STEPS), started]
    else:
        overrides = [*_of_text(text), f"seed={seed}", f"threads={threads}"]
        overrides += [] if steps is None else [f"episode.steps={steps}"]
        arguments = ["trimtab.bench.time_to_loss", recipe, str(folder), started, *overrides]
    done = subprocess.run([sys.executable, "-P", "-m", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"seed": seed, **result}


def _ours(recipe: str, folder: Path, started: float, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as out:
        path, own = (None, SAME) if recipe == "same" else (preset_path(recipe), ())
        train(load_config(path, [*own, *overrides]), Path(out) / "run")
        seconds = time.time() - started
        model = load_model(Path(out) / "run").model
        loss = held_out_loss(model, np.load(folder / "validation.npy"), peer.CONTEXT)
    print(json.dumps({"seconds": seconds, "loss": loss}))


if __name__ == "__main__":
    _ours(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])

"""The parts of a thinking run: two training runs, and what is generated after each."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from trimtab.config import Component, RunError
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.model import Metacognitive
from trimtab.metacognition.recipe.config import ThinkingConfig
from trimtab.metacognition.recipe.outcomes import Observer
from trimtab.records import JsonlWriter, RunDirectory, read_rows
from trimtab.records.thinking_rows import OutcomeRow
from trimtab.training.config import RunConfig, resolve_config
from trimtab.training.runs.assembly import build_data
from trimtab.training.runs.sampling import load_model

THINK, LAYER = "think", "layer"
"""The folders of the two training runs."""

OBSERVED, PRICED, COMPARED = "observed.jsonl", "priced.jsonl", "compared.jsonl"
"""The tables of outcomes: of training problems after the first run; of others, and of validation problems, after the second."""

CALIBRATION = "calibration.json"
"""What turns the confidence of the second run's model into the one that is reported."""

_CHUNK = 256
"""Problems that are answered between two checks for a requested stop."""


def first_config(config: ThinkingConfig) -> RunConfig:
    """The config of the run in which the model learns to think. Its gate stays closed: the layer has nothing to say yet."""
    model = Component.model_validate({**config.run.model.spec, "gate_open": False})
    return config.run.model_copy(update={"seed": config.seed, "model": model})


def layer_config(config: ThinkingConfig, folder: Path) -> RunConfig:
    """The config of the fork in which the layer learns: the observed problems, all losses, a lower and falling rate."""
    plain, weights = first_config(config).model_dump(mode="json"), config.layer
    episode = plain["episode"]
    losses = {
        "plan": weights.plan,
        "thinking_length": weights.length,
        "thinking_budget": weights.budget,
        "cap_confidence": weights.confidence,
        "layer_variance": weights.variance,
    }
    terms: list[dict[str, object]] = [{"name": "cross_entropy", "weight": 1.0}]
    terms += [{"name": name, "weight": weight} for name, weight in losses.items() if weight > 0]
    own = episode["optimizer"]
    rates = {key: value * weights.base_rate for key, value in own.items() if key == "lr" or key.endswith("_lr")}
    whole = episode["steps"] + weights.steps
    falling = {"name": "wsd", "warmup": 0, "decay": weights.steps / whole}
    loss = {"name": "sum", "terms": terms}
    plain["episode"] = {**episode, "steps": whole, "optimizer": own | rates, "schedule": falling, "loss": loss}
    multiple = weights.rate / weights.base_rate
    plain["model"] |= {"gate_open": config.run.model.spec["gate_open"], "layer_lr": multiple}
    plain["data"]["outcomes"] = str((folder / OBSERVED).resolve())
    return resolve_config(plain, source="the second run")


def observe(
    run: RunDirectory,
    table: Path,
    config: RunConfig,
    *,
    count: int,
    problems: Literal["first", "last", "validation"],
    stop: Callable[[], str | None],
    done: Callable[[int], None],
) -> str | None:
    """Write the outcomes of problems under the model of a run; returns the reason of a stop, after which it can be continued.

    `problems` are the first or the last ones for training, or the first ones for validation, of the data of a `config`.
    """
    known = len(read_rows(table, OutcomeRow)) if table.exists() else 0
    if known == count:
        return None
    loaded = load_model(run.path)
    assert isinstance(loaded.model, Metacognitive)
    data = build_data(config)
    dataset = data.validation if problems == "validation" else data.train
    assert isinstance(dataset, ThoughtDataset) and data.task is not None
    if count > len(dataset):
        raise RunError(
            f"{count} problems are to be observed, but the data has only {len(dataset)}. Set a larger data.size."
        )
    items = range(len(dataset) - count, len(dataset)) if problems == "last" else range(count)
    observer = Observer(loaded.model, dataset, data.task, 4 * loaded.config.episode.batch_size)
    with JsonlWriter(table) as writer:
        for start in range(known - known % _CHUNK, count, _CHUNK):
            rows = observer.rows(items[start : start + _CHUNK])
            for row in rows[max(0, known - start) :]:
                writer.write(row)
            writer.flush(sync=True)
            done(min(start + _CHUNK, count))
            if start + _CHUNK < count and (reason := stop()) is not None:
                return reason
    return None

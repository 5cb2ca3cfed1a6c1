"""A thought and an answer of the model of a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trimtab.config import RunError
from trimtab.data.tasks.dataset import end_token
from trimtab.generation import complete
from trimtab.generation.rules import NewRows, RowRules
from trimtab.metacognition.calibration import Calibration
from trimtab.metacognition.model import Metacognitive
from trimtab.metacognition.modulation import ModulatedRules, Modulation
from trimtab.metacognition.recipe.kind import THINKING
from trimtab.metacognition.recipe.stages import CALIBRATION, LAYER
from trimtab.metacognition.rules import Limit, ThinkingRules
from trimtab.records import RunDirectory
from trimtab.training.runs.sampling import load_model


def thought(
    path: Path | str,
    prompt: str,
    *,
    limit: Limit = "auto",
    tokens: int = 256,
    temperature: float = 0.0,
    seed: int = 0,
    modulation: Modulation | None = None,
    allow_code: bool = False,
) -> dict[str, Any]:
    """What the model of a run thinks about a prompt, its answer, and what it had decided.

    Of a thinking run it is the model of the second part; predicted budgets have the price that the run chose, and the confidence
    is calibrated. A `modulation` draws more freely where the model is less sure; it needs a temperature above 0.

    Raises `RunError` for a run without a metacognitive model, and for a prompt that leaves no room for an answer.
    """
    run = RunDirectory(path)
    place = run.path / LAYER if run.manifest().kind == THINKING.name else run.path
    loaded = load_model(place, allow_code=allow_code)
    model, tokenizer = loaded.model, loaded.tokenizer
    if not isinstance(model, Metacognitive):
        raise RunError(
            f"The model of the run in {run.path} is not metacognitive, so it has no budgets. Use `trimtab sample`, or a run of a "
            "model {name: metacognitive, ...}."
        )
    summary, calibration = run.summary(), None
    if place != run.path and summary is not None and "price" in summary.metrics:
        model.budget = replace(model.budget, price=float(summary.metrics["price"]))
        calibration = Calibration.read(run.path / CALIBRATION, len(model.budget.caps))
    template = str(loaded.config.data.spec.get("template", "{prompt}"))
    ids = [*tokenizer.encode(template.replace("{prompt}", prompt)).tolist(), model.tags.open]
    if len(ids) + 1 + model.budget.answer_room > model.context:
        raise RunError(
            f"The prompt has {len(ids)} tokens with the opening tag, and the model reads {model.context}: there is no room for "
            f"the closing tag and an answer of {model.budget.answer_room} tokens. Shorten it."
        )

    def make(rows: NewRows) -> RowRules:
        rules = ThinkingRules(model, rows, limit)
        return rules if modulation is None else ModulatedRules(rules, modulation)

    (one,) = complete(
        model,
        [torch.tensor(ids)],
        tokens,
        generator=torch.Generator().manual_seed(seed),
        temperature=temperature,
        stop=tokenizer.ends or (end_token(tokenizer),),
        rules=make,
    )
    details = dict(one.details)
    if calibration is not None and "confidence_by_cap" in details:
        details = calibration.applied_to(details, model.budget.caps)
    produced = one.tokens.tolist()
    closed = model.tags.close in produced
    at = produced.index(model.tags.close) if closed else len(produced)
    answer = produced[at + 1 : len(produced) - (one.ended == "stop")]
    return {
        "prompt": prompt,
        "thought": tokenizer.decode(produced[:at]),
        "answer": tokenizer.decode(answer),
        "closed": closed,
        "ended": one.ended,
        "step": loaded.step,
        "refused_checkpoints": loaded.refused,
        **details,
    }

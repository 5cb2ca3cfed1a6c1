"""The losses of the metacognitive layer, against plain formulas."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.metacognition.models import CAPS, CLOSE, model, padded, prompts
from trimtab.errors import WorkError
from trimtab.losses.total import Sum, Term
from trimtab.metacognition.caps import confidence
from trimtab.metacognition.losses import CapConfidence, LayerVariance, Plan, RowLoss, ThinkingBudget, ThinkingLength
from trimtab.metacognition.model import Metacognitive

METADATA: dict[str, Any] = {
    "plan": [0, 1, -1, 1],
    "used": [3, 16, 5, 0],
    "cap": [None, 16, 8, 0],
    "ended": [True, False, True, False],
    "right": [[None, False, True, None, True], None, [None] * 5, [True] * 5],
}
LOSSES: list[RowLoss] = [Plan(), ThinkingLength(), ThinkingBudget(), CapConfidence(), LayerVariance()]


def decided(made: Metacognitive) -> tuple[Tensor, Tensor, dict[str, Any]]:
    rows = [torch.cat((row, torch.tensor([7, 8, CLOSE, 9]))) for row in prompts(4)]
    ids, mask = padded(rows, "right")
    output = made(ids, mask)
    return output.logits, ids, {**METADATA, "outputs": output.outputs, "attention_mask": mask}


def detached(made: Metacognitive) -> tuple[Tensor, Tensor, dict[str, Any]]:
    with torch.no_grad():
        return decided(made)


def test_each_is_its_formula() -> None:
    logits, labels, metadata = detached(model())
    row = {name: value[:, 0] for name, value in metadata["outputs"].items()}
    plan = functional.cross_entropy(row["plan"][[0, 1, 3]], torch.tensor([0, 1, 1]))
    assert float(Plan()(logits, labels, metadata)["loss"]) == pytest.approx(float(plan))
    eta = row["hazards"].sigmoid()
    log_s = (1 - eta).log()
    lengths = [
        eta[0, 1].log() + log_s[0, 0],  # 3 tokens: the bin from 2 to 4
        log_s[1, :3].sum(),  # used a cap of 16: past every cap below
        eta[2, 2].log() + log_s[2, :2].sum(),
        torch.tensor(0.0),  # a cap of 0 says nothing
    ]
    assert float(ThinkingLength()(logits, labels, metadata)["loss"]) == pytest.approx(
        -float(torch.stack(lengths).mean())
    )
    places = [4, 4, 3, 0]
    squares = [((row["use"][n, place] - METADATA["used"][n]) / CAPS[-1]) ** 2 for n, place in enumerate(places)]
    assert float(ThinkingBudget()(logits, labels, metadata)["loss"]) == pytest.approx(
        float(torch.stack(squares).mean())
    )
    sure = confidence(row["confidence"])
    first = -((1 - sure[0, 1]).log() + sure[0, 2].log() + sure[0, 4].log()) / 3
    last = -sure[3].log().mean()
    assert float(CapConfidence()(logits, labels, metadata)["loss"]) == pytest.approx(
        float((first + last) / 2), rel=1e-5
    )
    share = row["layer_use"][..., -1] / CAPS[-1]
    expected = ((share - share.mean(1, keepdim=True)) ** 2).mean()
    assert float(LayerVariance()(logits, labels, metadata)["loss"]) == pytest.approx(float(expected))


@pytest.mark.parametrize("kind", [Plan, ThinkingLength, CapConfidence])
def test_the_blocks_own_predictions_count_with_their_weight(kind: Any) -> None:
    made = model()
    with torch.no_grad():  # each block says what all say together
        for name in ("plan", "hazards", "confidence"):
            made.layer.heads[name].weight.zero_()
    logits, labels, metadata = detached(made)
    whole = float(kind()(logits, labels, metadata)["loss"])
    assert float(kind(layers=0.5)(logits, labels, metadata)["loss"]) == pytest.approx(1.5 * whole)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_its_weight_is_the_number_of_rows_that_count(loss: RowLoss) -> None:
    logits, labels, metadata = detached(model())
    output = loss(logits, labels, metadata)
    assert float(output["weight"]) == float(loss.denominators(labels, metadata)) == sum(loss.known(metadata))
    halves = []
    for rows in (slice(0, 2), slice(2, 4)):
        part = {key: value[rows] for key, value in metadata.items() if key != "outputs"}
        part["outputs"] = {name: value[rows] for name, value in metadata["outputs"].items()}
        halves.append(loss(logits[rows], labels[rows], part))
    total = sum(float(half["loss"]) * float(half["weight"]) for half in halves)
    assert total == pytest.approx(float(output["loss"]) * float(output["weight"]), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_no_gradient_reaches_the_base(loss: RowLoss) -> None:
    made = model()
    logits, labels, metadata = decided(made)
    loss(logits, labels, metadata)["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in made.base.parameters())
    assert any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in made.layer.parameters())


def test_a_batch_without_what_a_loss_needs_has_no_weight() -> None:
    logits, labels, metadata = detached(model())
    bare = {"outputs": metadata["outputs"]}
    for loss in LOSSES:
        output = loss(logits, labels, bare | {key: [None] * 4 for key in ("plan", "used", "cap", "ended", "right")})
        assert float(output["loss"]) == 0 and float(output["weight"]) == 0


def test_a_model_that_decides_nothing_and_a_plan_that_it_lacks_are_named() -> None:
    logits, labels, metadata = decided(model())
    with pytest.raises(WorkError, match="needs a metacognitive model"):
        Plan()(logits, labels, {"plan": [0, 0, 0, 0]})
    with pytest.raises(WorkError, match=r"plan 2, but the model has only 2. Set model.plans higher"):
        Plan()(logits, labels, {**metadata, "plan": [2, 0, 0, 0]})
    with pytest.raises(WorkError, match="one value for each of the model's 5 caps"):
        CapConfidence()(logits, labels, {**metadata, "right": [[True]] * 4})


def test_they_are_terms_of_a_sum() -> None:
    logits, labels, metadata = detached(model())
    whole = Sum(
        terms=(Term(name="cross_entropy"), Term(name="thinking_length", weight=0.5), Term(name="plan", weight=0.1))
    )
    output = whole(logits, labels, metadata)
    parts = [float(loss(logits, labels, metadata)["loss"]) for loss in (ThinkingLength(), Plan())]
    assert output["aux"]["thinking_length"] == pytest.approx(parts[0])
    assert output["aux"]["thinking_length.think_tokens_used"] == 6
    assert float(output["loss"]) == pytest.approx(
        output["aux"]["cross_entropy"] + 0.5 * parts[0] + 0.1 * parts[1], rel=1e-5
    )
    assert math.isfinite(float(output["loss"]))

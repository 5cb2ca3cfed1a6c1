"""What the metacognitive layer learns from: plans, lengths of thoughts, budgets, and right answers under caps.

Each is a mean over rows, reads the decision of the row, and reaches no base model: what the layer reads is detached.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Float64
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from trimtab.errors import WorkError
from trimtab.losses.module import Labels, LossOutput, TokenLoss
from trimtab.metacognition.caps import confidence, length_loss
from trimtab.metacognition.data.problem import NO_PLAN

LayerWeight = Annotated[
    float,
    Field(ge=0, description="weight of the mean over the blocks' own predictions, beside that of all of them together"),
]


class RowLoss(TokenLoss):
    """Base of losses that are means over rows; a subclass names the metadata that says which rows count, and their losses."""

    term = True
    on_logits = False
    key: ClassVar[str]
    """The metadata that a row needs."""

    @abstractmethod
    def rows(
        self, outputs: Mapping[str, Tensor], metadata: Mapping[str, Any], counted: Bool[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """The loss of each row; rows that do not count may have any finite value."""

    def known(self, metadata: Mapping[str, Any]) -> list[bool]:
        """Which rows have what the loss needs."""
        return [value is not None for value in metadata.get(self.key, ())]

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of rows that count."""
        del labels
        return torch.tensor([sum(self.known(batch_metadata))], dtype=torch.float64)

    def __call__(
        self, logits: Float[Tensor, "batch time vocabulary"], labels: Labels, batch_metadata: Mapping[str, Any]
    ) -> LossOutput:
        """The mean over the rows that count."""
        outputs = batch_metadata.get("outputs", {})
        if "hazards" not in outputs:
            raise WorkError(
                f"The loss '{self.key}' needs a metacognitive model: model {{name: metacognitive, base: {{...}}}}. This model "
                "decides nothing."
            )
        known = self.known(batch_metadata)
        if not any(known):  # such as validation batches, whose outcomes nobody observed
            none = outputs["hazards"].sum() * 0
            return {"loss": none, "weight": torch.zeros_like(none), "aux": {}}
        counted = torch.tensor(known, device=logits.device)
        row = {name: value[:, 0] for name, value in outputs.items()}
        losses = torch.where(counted, self.rows(row, batch_metadata, counted), 0.0)
        weight = counted.sum().to(losses.dtype)
        return {"loss": losses.sum() / weight.clamp(min=1), "weight": weight, "aux": self.figures(batch_metadata)}

    def figures(self, metadata: Mapping[str, Any]) -> dict[str, float]:
        """Further figures for the records."""
        del metadata
        return {}


class Plan(RowLoss):
    """Cross-entropy of the plan; rows whose problem has no plan do not count."""

    key = "plan"

    def __init__(self, *, layers: LayerWeight = 0.0) -> None:
        self.layers = layers

    def known(self, metadata: Mapping[str, Any]) -> list[bool]:
        """Which rows have a plan."""
        return [plan is not None and plan != NO_PLAN for plan in metadata.get("plan", ())]

    def rows(
        self, outputs: Mapping[str, Tensor], metadata: Mapping[str, Any], counted: Bool[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """-log p(plan)."""
        plans = torch.where(counted, _numbers(metadata["plan"], counted.device, torch.long), 0)
        most = outputs["plan"].shape[-1]
        if int(plans.max()) >= most:
            raise WorkError(
                f"A problem has the plan {int(plans.max())}, but the model has only {most}. Set model.plans higher."
            )

        def loss(logits: Tensor) -> Tensor:
            each = plans if logits.dim() == 2 else plans[:, None].expand(logits.shape[:-1])
            return functional.cross_entropy(logits.flatten(0, -2), each.flatten(), reduction="none").view(each.shape)

        return _with_layers(loss(outputs["plan"]), lambda: loss(outputs["layer_plan"]), self.layers)


class ThinkingLength(RowLoss):
    """-log likelihood of the length of the thought; of one that was cut only that it used its cap is known (censoring)."""

    key = "used"

    def __init__(self, *, layers: LayerWeight = 0.0) -> None:
        self.layers = layers

    def rows(
        self, outputs: Mapping[str, Tensor], metadata: Mapping[str, Any], counted: Bool[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """-log p(length)."""
        used = _numbers(metadata["used"], counted.device, torch.long)
        ended = torch.tensor([bool(one) for one in metadata["ended"]], device=counted.device)
        caps = outputs["caps"][0]
        blocks = outputs["layer_hazards"].shape[1]

        def by_layer() -> Tensor:
            flat = outputs["layer_hazards"].flatten(0, 1)
            return length_loss(flat, caps, used.repeat_interleave(blocks), ended.repeat_interleave(blocks)).view(
                -1, blocks
            )

        return _with_layers(length_loss(outputs["hazards"], caps, used, ended), by_layer, self.layers)

    def figures(self, metadata: Mapping[str, Any]) -> dict[str, float]:
        """The thought tokens of the rows."""
        used = [one for one in metadata.get("used", ()) if one is not None]
        return {"think_tokens_used": sum(used) / len(used), "think_tokens_most": float(max(used))} if used else {}


class ThinkingBudget(RowLoss):
    """((expected use under the row's cap - used) / largest cap)²: the plain alternative to `thinking_length`, biased by cuts."""

    key = "used"

    def rows(
        self, outputs: Mapping[str, Tensor], metadata: Mapping[str, Any], counted: Bool[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """The squared error."""
        caps = outputs["caps"][0]
        used = _numbers(metadata["used"], counted.device, torch.float32)
        allowed = [int(caps[-1]) if cap is None else cap for cap in metadata["cap"]]
        place = torch.searchsorted(caps, torch.tensor(allowed, device=counted.device), right=True) - 1
        expected = outputs["use"].gather(-1, place[:, None])[:, 0]
        largest = caps[-1].to(expected.dtype)
        return ((expected - used.clamp(max=float(caps[-1]))) / largest).square()


class CapConfidence(RowLoss):
    """Mean over the observed caps of the cross-entropy of 'the answer under this cap is right'.

    The metadata `right` has for each row one value per cap: true, false, or null where it was not observed.
    """

    key = "right"

    def __init__(self, *, layers: LayerWeight = 0.0) -> None:
        self.layers = layers

    def known(self, metadata: Mapping[str, Any]) -> list[bool]:
        """Which rows have an observed cap."""
        return [row is not None and any(value is not None for value in row) for row in metadata.get("right", ())]

    def rows(
        self, outputs: Mapping[str, Tensor], metadata: Mapping[str, Any], counted: Bool[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """The mean over observed caps."""
        count = outputs["confidence"].shape[-1]
        table = [[None] * count if row is None else row for row in metadata["right"]]
        if any(len(row) != count for row in table):
            raise WorkError(f"The metadata 'right' must have one value for each of the model's {count} caps.")
        device, dtype = counted.device, outputs["confidence"].dtype
        seen = torch.tensor([[value is not None for value in row] for row in table], device=device)
        right = torch.tensor([[bool(value) for value in row] for row in table], device=device).to(dtype)

        def loss(logits: Tensor) -> Tensor:
            sure = confidence(logits).clamp(1e-6, 1 - 1e-6)
            shape = (len(table), *[1] * (logits.dim() - 2), count)
            each = functional.binary_cross_entropy(sure, right.view(shape).expand_as(sure), reduction="none")
            return (each * seen.view(shape)).sum(-1) / seen.view(shape).sum(-1).clamp(min=1)

        return _with_layers(loss(outputs["confidence"]), lambda: loss(outputs["layer_confidence"]), self.layers)


class LayerVariance(RowLoss):
    """Variance over blocks of the expected use under the largest cap, as a share of that cap: it keeps the blocks together."""

    key = "used"

    def rows(
        self, outputs: Mapping[str, Tensor], metadata: Mapping[str, Any], counted: Bool[Tensor, " rows"]
    ) -> Float[Tensor, " rows"]:
        """The variance."""
        del metadata, counted
        share: Tensor = outputs["layer_use"][..., -1] / outputs["caps"][:, -1:]
        return share.var(dim=1, unbiased=False)


def _numbers(values: Sequence[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor([0 if value is None else value for value in values], dtype=dtype, device=device)


def _with_layers(whole: Tensor, by_layer: Any, weight: float) -> Tensor:
    """The loss of the aggregate, plus the weighted mean of those of the blocks."""
    return whole if weight == 0 else whole + weight * by_layer().mean(-1)

"""Soft targets: the target of a position is a distribution over several tokens."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import Selected, mean, of_role, select, tag_values
from trimtab.losses.soft_targets import (
    NumberNeighbours,
    SoftTargets,
    TokenClasses,
    divergence,
    given_targets,
)

Schedule = Literal["constant", "linear", "cosine"]
_NAME = "soft_tokens"


class SoftTokens(TokenLoss):
    """Mean KL(q ‖ p) over the target positions, where q is the label mixed with a soft target over K tokens, in nats.

    `gaussian` and `exponential` spread a number token's label over the number tokens near it in value. `classes` spreads
    it over the tokens that mean the same. `set` uses the batch's `target_ids` and `target_weights`. Where there is no soft
    target, q is the label and the term is cross-entropy.

    Only labels of one of the `roles` (1: quantities) are softened, never names, categories or indices. A batch without
    roles cannot tell them apart: there every label that has a soft target is softened. `aux` says the share of the labels
    that were (`softened`).

    `annealing` takes `share` down to the hard label between the first and the last step of the episode. A batch without
    a step (an evaluation) is scored by the end of the schedule, so that a run's evaluations compare with each other. With a
    `tag` an example's kernel width is `width` times its uncertainty, and a certain example keeps its hard label.

    Bias: underconfident for kernels and classes that are wider than the truth; none for sets that are the truth.
    Sources: Szegedy et al. 2016 for mixing; the kernels as in Diaz & Marathe 2019, Soft Labels for Ordinal Regression.
    """

    bias = (
        StatedBias("under"),
        StatedBias("under", {"targets": "exponential"}),
        StatedBias("under", {"targets": "classes", "classes": [["a", "b"]]}),
        StatedBias("none", {"targets": "set"}),
        StatedBias("under", {"tag": "uncertainty"}),
    )

    def __init__(
        self,
        *,
        targets: Annotated[
            Literal["gaussian", "exponential", "classes", "set"],
            Field(description="a kernel over number tokens, classes of equal tokens, or the batch's own sets"),
        ] = "gaussian",
        width: Annotated[
            float, Field(gt=0, description="kernel: standard deviation, or distance over which it falls by e")
        ] = 1.0,
        neighbours: Annotated[
            int, Field(ge=1, description="kernel: how many number tokens, the label among them, have a share")
        ] = 16,
        classes: Annotated[
            tuple[Annotated[tuple[str, ...], Field(min_length=2)], ...],
            Field(description="targets: classes: lists of token texts, each a class of tokens that mean the same"),
        ] = (),
        share: Annotated[
            float, Field(ge=0, le=1, description="share of the soft target in q, at the first step")
        ] = 1.0,
        annealing: Annotated[
            Schedule, Field(description="how the share goes to 0 over the episode; constant: it stays")
        ] = "constant",
        roles: Annotated[
            tuple[int, ...] | None,
            Field(description="roles of the labels that may be soft, where the batch carries roles; null for all"),
        ] = (1,),
        tag: Annotated[
            str | None,
            Field(min_length=1, description="metadata key of an uncertainty in [0, 1] that the width is multiplied by"),
        ] = None,
        token_values: Float64[Tensor, " vocabulary"] | None = None,
        token_texts: tuple[str, ...] | list[str] | None = None,
    ) -> None:
        self.targets, self.width, self.share, self.annealing = targets, width, share, annealing
        self.roles, self.tag = roles, tag
        kernel = targets in ("gaussian", "exponential")
        self._neighbours = NumberNeighbours(token_values, neighbours, _NAME) if kernel else None
        self._classes = TokenClasses(classes, token_texts, _NAME) if targets == "classes" else None

    @staticmethod
    def check(parameters: dict[str, Any]) -> None:
        """Refuse parameters that would have no effect."""
        if (parameters["targets"] == "classes") != bool(parameters["classes"]):
            raise ValueError("targets: classes and a list of classes belong together; give both or neither.")
        if parameters["tag"] is not None and parameters["targets"] in ("classes", "set"):
            raise ValueError(f"a tag drives a kernel's width, and targets: {parameters['targets']} has none.")

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; raises `ConfigError` where the sets or the tag that it needs are missing."""
        chosen = select(_NAME, logits, labels)
        soft = self._soft(chosen, labels, batch_metadata)
        allowed = chosen.of(of_role(self.roles, labels, batch_metadata))
        share = self.share * remaining(self.annealing, batch_metadata)
        values, softened = divergence(chosen, soft, share, allowed)
        aux = {"softened": float(mean(softened.to(values.dtype))["loss"])}
        return mean(values, aux=aux if self.annealing == "constant" else aux | {"share": share})

    def _soft(self, chosen: Selected, labels: Labels, batch_metadata: Mapping[str, Any]) -> SoftTargets:
        if self._classes is not None:
            return self._classes.targets(chosen)
        if self._neighbours is None:
            return given_targets(chosen, batch_metadata, _NAME)
        width: float | Tensor = self.width
        if self.tag is not None:
            tags = tag_values(_NAME, self.tag, labels, batch_metadata)
            width = self.width * chosen.of(tags.to(chosen.logits.dtype))
        return self._neighbours.targets(chosen, "gaussian" if self.targets == "gaussian" else "exponential", width)


def remaining(schedule: Schedule, batch_metadata: Mapping[str, Any]) -> float:
    """The factor of a schedule at the batch's `step` (1 is the first) of `steps`: 1 at the first step, 0 at the last.

    Without a step: the schedule's end, that is 0; `constant` is always 1.
    """
    if schedule == "constant":
        return 1.0
    step, steps = batch_metadata.get("step"), batch_metadata.get("steps")
    if step is None or steps is None:
        return 0.0
    progress = min(1.0, (step - 1) / max(steps - 1, 1))
    return 1 - progress if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))

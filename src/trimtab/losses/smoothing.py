"""Label smoothing: the same for every example, or by each example's own uncertainty."""

from collections.abc import Mapping
from typing import Annotated, Any

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.positions import Selected, mean, select, tag_values


class LabelSmoothing(TokenLoss):
    """Cross-entropy against (1 − ε) · label + ε · uniform, in nats per token.

    Source: Szegedy et al. 2016, Rethinking the Inception Architecture, section 7. Underconfident by design.
    """

    bias = (StatedBias("under"),)

    def __init__(
        self,
        *,
        smoothing: Annotated[
            float, Field(ge=0, le=1, description="ε, the share of the target spread over the whole vocabulary")
        ] = 0.1,
    ) -> None:
        self.smoothing = smoothing

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; `batch_metadata` is not read."""
        return mean(smoothed(select("label_smoothing", logits, labels), self.smoothing))


class UncertaintySmoothing(TokenLoss):
    """Label smoothing whose ε is `maximum` times the example's own uncertainty, in nats per token.

    After Wang et al. 2024, Uncertainty Aware Learning for Language Model Alignment (ACL, 2024.acl-long.597), which sets the
    smoothing of each training sample by its uncertainty. Underconfident, most where the tag says so.
    """

    bias = (StatedBias("under"),)

    def __init__(
        self,
        *,
        maximum: Annotated[float, Field(ge=0, le=1, description="ε of an example whose uncertainty is 1")] = 0.2,
        tag: Annotated[
            str, Field(min_length=1, description="the metadata key that holds the uncertainty, in [0, 1]")
        ] = "uncertainty",
    ) -> None:
        self.maximum, self.tag = maximum, tag

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch; `aux` holds the mean ε as `smoothing`. Raises `ConfigError` where the tag is missing."""
        chosen = select("uncertainty_smoothing", logits, labels)
        tags = tag_values("uncertainty_smoothing", self.tag, labels, batch_metadata)
        share = self.maximum * chosen.of(tags.to(chosen.logits.dtype))
        output = mean(smoothed(chosen, share))
        output["aux"]["smoothing"] = float(mean(share)["loss"])
        return output


def smoothed(chosen: Selected, share: float | Float[Tensor, " selected"]) -> Float[Tensor, " selected"]:
    """−(1 − ε) log p(label) − ε · mean of log p over the vocabulary, at each position; ε is the `share`."""
    logsumexp = chosen.logits.logsumexp(-1)
    label = logsumexp - chosen.logits.gather(-1, chosen.labels[:, None])[:, 0]
    return (1 - share) * label + share * (logsumexp - chosen.logits.mean(-1))

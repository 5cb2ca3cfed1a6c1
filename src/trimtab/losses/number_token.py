"""Number token loss: how far the predicted number tokens are from the right one."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jaxtyping import Float, Float64
from pydantic import Field
from torch import Tensor

from trimtab.losses.module import Labels, LossOutput, StatedBias, TokenLoss
from trimtab.losses.number_vocabulary import NumberVocabulary
from trimtab.losses.positions import mean, select


class NumberToken(TokenLoss):
    """A distance between the label's number and the predicted ones, averaged over the labels that are number tokens.

    With p̃ the probabilities of the number tokens given that the token is a number and v their values: `wasserstein` is
    Σ p̃ₖ |y − vₖ| (NTL-WAS), `mse` is (y − Σ p̃ₖ vₖ)² (NTL-MSE). In the values' unit, or its square. A batch without numbers
    has loss 0 and weight 0.

    Source: Zausinger et al. 2025, Regress, Don't Guess (arXiv 2411.02083), section 3. A term added to cross-entropy: it says
    nothing of other tokens. `wasserstein` is not proper: it is linear in p̃, so it pulls all mass to the median
    (overconfident). `mse` determines only the mean: added to cross-entropy it leaves the minimum at the truth, and
    alone it has no single minimum. `ranked_probability` is the proper relative of the first.
    """

    term = True
    bias = (
        StatedBias("over", weight=0.3),
        StatedBias("over", conditional=True),
        StatedBias("none", {"distance": "mse"}, weight=0.3),
    )

    def __init__(
        self,
        *,
        distance: Annotated[
            Literal["wasserstein", "mse"], Field(description="NTL-WAS, or NTL-MSE of the expected value")
        ] = "wasserstein",
        roles: Annotated[
            tuple[int, ...] | None,
            Field(description="roles of the labels that count, where the batch has roles; null for every number"),
        ] = None,
        token_values: Float64[Tensor, " vocabulary"] | None = None,
    ) -> None:
        self.distance, self.roles = distance, roles
        self.numbers = NumberVocabulary(token_values, "number_token")

    def denominators(self, labels: Labels, batch_metadata: Mapping[str, Any]) -> Float64[Tensor, " terms"]:
        """The number of labels that are number tokens."""
        return self.numbers.where(labels, batch_metadata, self.roles).sum().cpu().double()[None]

    def __call__(
        self,
        logits: Float[Tensor, "batch time vocabulary"],
        labels: Labels,
        batch_metadata: Mapping[str, Any],
    ) -> LossOutput:
        """The loss of a batch."""
        chosen = select("number_token", logits, labels, self.numbers.where(labels, batch_metadata, self.roles))
        p = self.numbers.log_p(chosen).exp()
        values = self.numbers.values_like(p)
        right = values[self.numbers.index_of(chosen.labels)]
        if self.distance == "mse":
            return mean((p @ values - right) ** 2)
        return mean((p * (values - right[:, None]).abs()).sum(-1))

"""The propriety test: how confident is the minimum of a loss, compared with a known truth?

Free logits (a model without constraints) are fitted to a known label distribution in each of a few contexts, under the exact
expectation, until convergence. A proper loss returns the distribution (Gneiting & Raftery 2007, Strictly Proper Scoring
Rules); any other loss is over- or underconfident on every data set and model.
"""

import inspect
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from trimtab.config import REGISTRIES, resolve_component
from trimtab.config.wording import Source
from trimtab.errors import ConfigError, TrimtabError, WorkError
from trimtab.losses.module import Bias, StatedBias

TEXTS = (*"0123456789", " ", "-", "a", "b")
"""The test's vocabulary."""

REPEATS = 40
"""Labels per context: each token occurs in proportion to its probability, so the mean over the labels is the expectation."""

CONTEXTS: tuple[dict[str, int], ...] = (
    {"3": 36, "2": 2, "4": 2},
    {"5": 20, "6": 12, "7": 8},
    {"2": 24, "7": 16},
    {"0": 14, "1": 10, "2": 6, "3": 4, "5": 3, "9": 3},
    {"4": 20, "5": 8, "a": 12},
    {"a": 28, "b": 8, " ": 4},
)
"""Per context, the number of labels of each token. In order: almost certain, ambiguous between neighbouring numbers, ambiguous
between distant numbers, skewed, mixed with text, text alone."""

UNCERTAINTY = (0.1, 0.4, 0.9, 0.7, 0.6, 0.3)
"""The uncertainty tag of each context; it does not depend on the label."""

ROUNDS = 8
"""Most restarts of the optimiser; it has converged when a restart lowers the loss by less than 1e-6."""

TOLERANCE = 0.005
"""A mean confidence closer to the truth's than this counts as unbiased."""


@dataclass(frozen=True)
class ProprietyResult:
    """The result of one fit.

    `weight`: the weight of the loss added to cross-entropy, None for the loss alone. `conditional`: number tokens only. `stated`:
    the bias that the loss states, None where it states none. `measured`: the bias of the fit. `confidence_bias`: the mean top
    probability minus the truth's; `lowest` and `highest`: the same of single contexts. `divergence`: the mean KL(truth ‖ fit) in
    nats.
    """

    loss: str
    parameters: dict[str, Any]
    weight: float | None
    conditional: bool
    stated: Bias | None
    measured: Bias
    confidence_bias: float
    lowest: float
    highest: float
    divergence: float
    converged: bool

    @property
    def as_stated(self) -> bool:
        """Whether the fit converged and has the stated bias, if any; 'none' also requires that the fit equals the truth."""
        if not self.converged:
            return False
        return self.stated in (None, self.measured) and (self.stated != "none" or self.divergence < TOLERANCE)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values."""
        return {**asdict(self), "as_stated": self.as_stated}


def token_values() -> Float64[Tensor, " vocabulary"]:
    """The number that each token of the test's vocabulary spells; NaN for tokens that spell none."""
    return torch.tensor([float(text) if text.isdigit() else math.nan for text in TEXTS], dtype=torch.float64)


def stated_biases(spec: Mapping[str, Any]) -> tuple[StatedBias | None, ...]:
    """The biases that a loss states (see `TokenLoss`); (None,) where it states none for this spec.

    A tuple of `StatedBias` names its own parameters, so it does not apply to a spec with other ones.
    """
    bias: Bias | tuple[StatedBias, ...] | None = getattr(REGISTRIES["loss"].load(spec["name"]), "bias", None)
    if isinstance(bias, str):
        return (StatedBias(bias),)
    return (bias if len(spec) == 1 else None) or (None,)


def reads_logits(name: str) -> bool:
    """Whether a loss reads logits, so that it has a bias."""
    return bool(getattr(REGISTRIES["loss"].load(name), "on_logits", True))


def check(spec: Mapping[str, Any], stated: StatedBias | None) -> ProprietyResult:
    """Fit the known distributions under a loss (a component's spec), alone or added to cross-entropy, as `stated` says.

    Raises `ConfigError` for an unknown loss or parameter, and `WorkError` for a loss that fails.
    """
    if not reads_logits(spec["name"]):
        raise ConfigError(
            f"The loss '{spec['name']}' reads further outputs of a model and no logits, so it has no bias on the distribution of "
            "tokens. Check another loss."
        )
    setting = stated or StatedBias("none")
    own = {**spec, **setting.parameters}
    built: Mapping[str, Any] = own
    if setting.weight is not None:
        built = {"name": "sum", "terms": [{"name": "cross_entropy"}, {**own, "weight": setting.weight}]}
    resolved = resolve_component("loss", built, Source("losses check"))
    try:
        loss = REGISTRIES["loss"].build(resolved, token_values=token_values(), token_texts=TEXTS)
        fitted, converged = fit(loss)
    except TrimtabError:
        raise
    except Exception as error:
        raise WorkError(
            f"The loss '{spec['name']}' failed in the propriety test{_place(error, spec['name'])}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300].rstrip('.')}. A loss is called with logits [batch, time, vocabulary], labels "
            'and metadata, and returns {"loss", "weight", "aux"}; `loss` must be differentiable with respect to the logits. '
            "Correct it and check again."
        ) from error
    truth = distributions()
    if setting.conditional:
        numbers = token_values().isfinite()
        some = truth[:, numbers].sum(-1) > 0
        truth, fitted = _renormalised(truth[some][:, numbers]), _renormalised(fitted[some][:, numbers])
    bias = fitted.amax(-1) - truth.amax(-1)
    mean = float(bias.mean())
    return ProprietyResult(
        loss=own["name"],
        parameters={key: value for key, value in own.items() if key != "name"},
        weight=setting.weight,
        conditional=setting.conditional,
        stated=None if stated is None else stated.bias,
        measured="none" if abs(mean) < TOLERANCE else "over" if mean > 0 else "under",
        confidence_bias=mean,
        lowest=float(bias.min()),
        highest=float(bias.max()),
        divergence=float((torch.xlogy(truth, truth) - torch.xlogy(truth, fitted.clamp(min=1e-300))).sum(-1).mean()),
        converged=converged,
    )


def _place(error: Exception, name: str) -> str:
    """File and line of an error in the loss's own file, for a message; empty for an error raised elsewhere."""
    own = inspect.getsourcefile(REGISTRIES["loss"].load(name))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" ({own}, line {lines[-1]})" if lines else ""


def check_all(specs: Sequence[Mapping[str, Any]] | None = None) -> list[ProprietyResult]:
    """One result for each bias that the given losses (by default all registered ones that read logits) state."""
    names = [entry.name for entry in REGISTRIES["loss"] if reads_logits(entry.name)]
    losses = [{"name": name} for name in names] if specs is None else specs
    return [check(spec, stated) for spec in losses for stated in stated_biases(spec)]


def distributions() -> Float64[Tensor, "contexts vocabulary"]:
    """The true distribution of each context's label."""
    counts = [[context.get(text, 0) for text in TEXTS] for context in CONTEXTS]
    return torch.tensor(counts, dtype=torch.float64) / REPEATS


def fit(loss: Callable[..., Mapping[str, Any]]) -> tuple[Float64[Tensor, "contexts vocabulary"], bool]:
    """The distributions that minimise a loss over free logits, and whether the optimiser converged.

    It starts from the better of two points, near uniform and near the truth: where a loss is not convex in the logits, a long
    first step may end where the softmax is saturated and the gradient vanishes.
    """
    generator = torch.Generator().manual_seed(0)
    jitter = torch.randn(len(CONTEXTS), len(TEXTS), generator=generator, dtype=torch.float64) * 0.1
    near_truth = (0.9 * distributions() + 0.1 / len(TEXTS)).log()
    value, logits = min(
        (_descend(loss, start) for start in (jitter, near_truth + jitter)), key=lambda result: result[0]
    )
    for _ in range(ROUNDS):
        before = value
        value, logits = _descend(loss, logits)
        # A square root has a kink at 0, where its gradient does not vanish, so convergence is judged by the value.
        if before - value < 1e-6:
            return logits.softmax(-1), True
    return logits.softmax(-1), False


def _descend(
    loss: Callable[..., Mapping[str, Any]], start: Float64[Tensor, "contexts vocabulary"]
) -> tuple[float, Float64[Tensor, "contexts vocabulary"]]:
    """The loss and the logits after at most 100 L-BFGS iterations."""
    free = start.clone().requires_grad_()
    labels, metadata = _batch()
    optimizer = torch.optim.LBFGS(
        [free], max_iter=100, tolerance_grad=1e-6, tolerance_change=1e-9, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss(free[:, None, :].expand(-1, REPEATS, -1), labels, metadata)["loss"]
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(closure().detach()), free.detach()


def _batch() -> tuple[Int[Tensor, "contexts repeats"], dict[str, Any]]:
    """The labels, in exact proportion to each context's distribution, and all metadata that a shipped loss reads."""
    labels = torch.tensor(
        [[TEXTS.index(text) for text, count in context.items() for _ in range(count)] for context in CONTEXTS]
    )
    return labels, {
        "uncertainty": list(UNCERTAINTY),
        "target_ids": torch.arange(len(TEXTS)).expand(*labels.shape, -1),
        "target_weights": distributions()[:, None, :].expand(-1, REPEATS, -1),
        "activations": {"observed": torch.ones(*labels.shape, 1, dtype=torch.float64)},
    }


def _renormalised(shares: Float64[Tensor, "contexts some"]) -> Float64[Tensor, "contexts some"]:
    return shares / shares.sum(-1, keepdim=True)

"""The propriety test: what confidence is a loss minimised by, where the truth is known?

A model without constraints (free logits a context) is fitted to a known distribution of labels in each of a few contexts,
under the exact expectation, to convergence. A proper loss gives the distribution back; any other is over- or underconfident by
its nature, whatever data and model it meets.
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
from trimtab.errors import TrimtabError, WorkError
from trimtab.losses.claims import Bias, Claim

TEXTS = (*"0123456789", " ", "-", "a", "b")
"""The test's vocabulary."""

REPEATS = 40
"""Labels a context: each token stands as often as its share of them, so that a mean over the labels is the expectation."""

CONTEXTS: tuple[dict[str, int], ...] = (
    {"3": 36, "2": 2, "4": 2},
    {"5": 20, "6": 12, "7": 8},
    {"2": 24, "7": 16},
    {"0": 14, "1": 10, "2": 6, "3": 4, "5": 3, "9": 3},
    {"4": 20, "5": 8, "a": 12},
    {"a": 28, "b": 8, " ": 4},
)
"""Of each context, how many of the labels are which token: certain, ambiguous between neighbours and between far numbers,
skewed, mixed with text, and text alone."""

UNCERTAINTY = (0.1, 0.4, 0.9, 0.7, 0.6, 0.3)
"""The uncertainty tag of each context: it depends on the context alone, not on the label."""

ROUNDS = 8
"""Restarts of the optimiser at most; it is done when one brings less than a millionth."""

TOLERANCE = 0.005
"""A mean confidence nearer to the truth's than this counts as unbiased."""


@dataclass(frozen=True)
class Finding:
    """What the test found.

    `weight`: that of the loss beside cross-entropy, None alone; `conditional`: among number tokens only; `expected`: None where
    the loss claims nothing; `confidence_bias`: the mean top probability minus the truth's, `lowest` and `highest` that of
    single contexts; `divergence`: the mean KL(truth ‖ fit) in nats.
    """

    loss: str
    parameters: dict[str, Any]
    weight: float | None
    conditional: bool
    expected: Bias | None
    found: Bias
    confidence_bias: float
    lowest: float
    highest: float
    divergence: float
    converged: bool

    @property
    def as_stated(self) -> bool:
        """Whether a converged minimum has the stated sign (or none is stated); 'none' takes the truth itself, not its mean."""
        if not self.converged:
            return False
        return self.expected in (None, self.found) and (self.expected != "none" or self.divergence < TOLERANCE)

    def as_dict(self) -> dict[str, Any]:
        """The finding for JSON."""
        return {**asdict(self), "as_stated": self.as_stated}


def token_values() -> Float64[Tensor, " vocabulary"]:
    """The number that each token of the test spells, NaN for the others."""
    return torch.tensor([float(text) if text.isdigit() else math.nan for text in TEXTS], dtype=torch.float64)


def claims_of(spec: Mapping[str, Any]) -> tuple[Claim | None, ...]:
    """What a loss says of itself: its `bias`, or the `claims` of a shipped one for a bare name; (None,) where nothing."""
    factory = REGISTRIES["loss"].load(spec["name"])
    bias: Bias | None = getattr(factory, "bias", None)
    if bias is not None:
        return (Claim(bias),)
    claims: tuple[Claim, ...] = getattr(factory, "claims", ()) if len(spec) == 1 else ()
    return claims or (None,)


def check(spec: Mapping[str, Any], claim: Claim | None) -> Finding:
    """Fit the known distributions under a loss (a component's spec) as its claim says: alone or beside cross-entropy.

    Raises `ConfigError` for a loss or parameters that are not there, and `WorkError` for a loss that fails.
    """
    claim_or_alone = claim or Claim("none")
    own = {**spec, **claim_or_alone.parameters}
    built: Mapping[str, Any] = own
    if claim_or_alone.weight is not None:
        built = {"name": "sum", "terms": [{"name": "cross_entropy"}, {**own, "weight": claim_or_alone.weight}]}
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
            'and metadata, and returns {"loss", "weight", "aux"}, the loss with a gradient to the logits. Correct it and check '
            "again."
        ) from error
    truth = distributions()
    if claim_or_alone.conditional:
        numbers = token_values().isfinite()
        some = truth[:, numbers].sum(-1) > 0
        truth, fitted = _renormalised(truth[some][:, numbers]), _renormalised(fitted[some][:, numbers])
    bias = fitted.amax(-1) - truth.amax(-1)
    mean = float(bias.mean())
    return Finding(
        loss=own["name"],
        parameters={key: value for key, value in own.items() if key != "name"},
        weight=claim_or_alone.weight,
        conditional=claim_or_alone.conditional,
        expected=None if claim is None else claim.bias,
        found="none" if abs(mean) < TOLERANCE else "over" if mean > 0 else "under",
        confidence_bias=mean,
        lowest=float(bias.min()),
        highest=float(bias.max()),
        divergence=float((torch.xlogy(truth, truth) - torch.xlogy(truth, fitted.clamp(min=1e-300))).sum(-1).mean()),
        converged=converged,
    )


def _place(error: Exception, name: str) -> str:
    """Where in the loss's own file an error came up, for a message; nothing where it came up outside of it."""
    own = inspect.getsourcefile(REGISTRIES["loss"].load(name))
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" ({own}, line {lines[-1]})" if lines else ""


def check_all(specs: Sequence[Mapping[str, Any]] | None = None) -> list[Finding]:
    """Every claim of the given losses, or of all that are registered."""
    chosen = [{"name": entry.name} for entry in REGISTRIES["loss"]] if specs is None else specs
    return [check(spec, claim) for spec in chosen for claim in claims_of(spec)]


def distributions() -> Float64[Tensor, "contexts vocabulary"]:
    """The true distribution of each context's label."""
    counts = [[context.get(text, 0) for text in TEXTS] for context in CONTEXTS]
    return torch.tensor(counts, dtype=torch.float64) / REPEATS


def fit(loss: Callable[..., Mapping[str, Any]]) -> tuple[Float64[Tensor, "contexts vocabulary"], bool]:
    """The distributions that minimise a loss over free logits, and whether the optimiser converged.

    From the better of two starts, near uniform and near the truth: where a loss is not convex in the logits, a first long step
    may end on a plateau of certainty.
    """
    generator = torch.Generator().manual_seed(0)
    jitter = torch.randn(len(CONTEXTS), len(TEXTS), generator=generator, dtype=torch.float64) * 0.1
    near_truth = (0.9 * distributions() + 0.1 / len(TEXTS)).log()
    value, logits = min((_descend(loss, start) for start in (jitter, near_truth + jitter)), key=lambda found: found[0])
    for _ in range(ROUNDS):
        before = value
        value, logits = _descend(loss, logits)
        # A square root at its zero has a kink, where the gradient never vanishes: there the value must stand still.
        if before - value < 1e-6:
            return logits.softmax(-1), True
    return logits.softmax(-1), False


def _descend(
    loss: Callable[..., Mapping[str, Any]], start: Float64[Tensor, "contexts vocabulary"]
) -> tuple[float, Float64[Tensor, "contexts vocabulary"]]:
    """The loss and the logits after a hundred steps at most."""
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
    """The labels, each context's in their exact shares, and all that a shipped loss may ask of a batch."""
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

"""The propriety test itself: closed forms that it must find, and what it says of all losses."""

import sys
from pathlib import Path

import pytest
import torch

from tests.losses.setting import loss_of
from trimtab.config import ConfigError, WorkError
from trimtab.losses import Claim
from trimtab.losses.propriety import CONTEXTS, REPEATS, TEXTS, check, check_all, claims_of, distributions, fit
from trimtab.training.components import LOSSES


def test_the_truth_is_a_distribution_a_context() -> None:
    assert all(sum(context.values()) == REPEATS for context in CONTEXTS)
    torch.testing.assert_close(distributions().sum(-1), torch.ones(len(CONTEXTS)).double())
    assert distributions()[2, TEXTS.index("7")] == 0.4


def test_cross_entropy_gives_the_truth_back() -> None:
    fitted, converged = fit(loss_of("cross_entropy"))
    assert converged
    torch.testing.assert_close(fitted, distributions(), rtol=0, atol=1e-4)


def test_label_smoothing_gives_the_smoothed_truth() -> None:
    fitted, _ = fit(loss_of({"name": "label_smoothing", "smoothing": 0.2}))
    torch.testing.assert_close(fitted, 0.8 * distributions() + 0.2 / len(TEXTS), rtol=0, atol=1e-4)


def test_generalized_cross_entropy_gives_a_power_of_the_truth() -> None:
    fitted, _ = fit(loss_of({"name": "generalized_cross_entropy", "q": 0.5}))
    squared = distributions() ** 2
    torch.testing.assert_close(fitted, squared / squared.sum(-1, keepdim=True), rtol=0, atol=1e-3)


def test_a_kernel_gives_the_truth_seen_through_it() -> None:
    kernel = torch.eye(len(TEXTS), dtype=torch.float64)
    d = (torch.arange(10.0)[:, None] - torch.arange(10.0)).double()
    kernel[:10, :10] = torch.exp(-0.5 * d**2) / torch.exp(-0.5 * d**2).sum(-1, keepdim=True)
    fitted, _ = fit(loss_of({"name": "soft_tokens"}))
    torch.testing.assert_close(fitted, distributions() @ kernel, rtol=0, atol=1e-4)


def test_the_wasserstein_distance_alone_is_minimised_by_the_median() -> None:
    fitted, _ = fit(loss_of("number_token"))
    numbers = fitted[:, :10] / fitted[:, :10].sum(-1, keepdim=True)
    # In the second context 5 and 6 are both medians; in the fifth 28 of 40 labels are numbers, 20 of them a 4.
    assert [int(row.argmax()) for row in numbers[[0, 2, 3, 4]]] == [3, 2, 1, 4]
    assert bool((numbers[[0, 2, 3, 4]].amax(-1) > 0.98).all())


def test_every_claim_holds() -> None:
    findings = check_all()
    assert {finding.loss for finding in findings} == {entry.name for entry in LOSSES}
    assert [finding for finding in findings if not finding.as_stated] == []
    proper = {finding.loss for finding in findings if finding.expected == "none"}
    assert {"cross_entropy", "ranked_probability", "weighted"} <= proper
    stated = {finding.loss: finding.expected for finding in findings if finding.loss not in ("number_token", "sum")}
    assert stated["generalized_cross_entropy"] == "over"
    for name in ("focal", "label_smoothing", "uncertainty_smoothing", "confidence_penalty"):
        assert stated[name] == "under"
    distances = {str(f.parameters.get("distance")): f.found for f in findings if f.loss == "number_token" and f.weight}
    assert distances == {"None": "over", "mse": "none"}


def test_every_shipped_loss_claims_something() -> None:
    for entry in LOSSES:
        assert None not in claims_of({"name": entry.name}), entry.name


def test_a_false_claim_is_found() -> None:
    finding = check({"name": "focal"}, Claim("none"))
    assert (finding.found, finding.expected, finding.as_stated) == ("under", "none", False)
    assert finding.as_dict()["as_stated"] is False


def test_an_unbiased_mean_over_wrong_distributions_is_not_proper() -> None:
    # A flat and a sharp context may cancel in the mean confidence; the divergence does not.
    finding = check({"name": "focal"}, Claim("none"))
    assert finding.divergence > 0.01 and not finding.as_stated


OWN = '''
from torch.nn import functional

from trimtab.losses.focal import Focal


class Brier:
    """Σ (p − label)²: proper."""

    bias = "none"

    def __init__(self, *, power: float = 2.0) -> None:
        self.power = power

    def __call__(self, logits, labels, batch_metadata):
        asked = labels != -100
        target = functional.one_hot(labels[asked], logits.shape[-1])
        values = ((logits[asked].softmax(-1) - target).abs() ** self.power).sum(-1)
        return {"loss": values.mean(), "weight": asked.sum().to(logits.dtype), "aux": {}}


class Liar(Brier):
    bias = "over"


class Silent(Brier):
    bias = None


class Sharper(Focal):
    bias = "over"
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_scores.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("own_scores", None)
    return "own_scores"


def test_losses_of_the_users_own(own: str) -> None:
    brier, liar, silent, cubic = check_all(
        [{"name": f"{own}:{name}"} for name in ("Brier", "Liar", "Silent")] + [{"name": f"{own}:Brier", "power": 3.0}]
    )
    assert (brier.expected, brier.found, brier.as_stated) == ("none", "none", True)
    assert (liar.expected, liar.found, liar.as_stated) == ("over", "none", False)
    assert (silent.expected, silent.as_stated) == (None, True)
    assert (cubic.expected, cubic.found, cubic.as_stated) == ("none", "under", False)


class Raises:
    def __call__(self, logits, labels, batch_metadata):
        raise RuntimeError("two\nlines")


class Detached:
    def __call__(self, logits, labels, batch_metadata):
        return {"loss": logits.detach().sum(), "weight": logits.sum(), "aux": {}}


class Unmade(Raises):
    def __init__(self) -> None:
        raise ValueError("not today")


class Asks:
    def __call__(self, logits, labels, batch_metadata):
        raise ConfigError("It needs the tag 'conf'.")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Raises", r"\(.*test_propriety.py, line \d+\): RuntimeError: two lines\. A loss is called with"),
        ("Detached", ": RuntimeError: element 0 of tensors does not require grad"),
        ("Unmade", r"\(.*, line \d+\): ValueError: not today\."),
    ],
)
def test_a_loss_that_fails_is_named_with_what_it_should_do(name: str, words: str) -> None:
    with pytest.raises(
        WorkError, match=rf"^The loss '{__name__}:{name}' failed in the propriety test.*{words}"
    ) as caught:
        check_all([{"name": f"{__name__}:{name}"}])
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^It needs the tag 'conf'\.$"):
        check_all([{"name": f"{__name__}:Asks"}])


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no loss 'focl'. Did you mean 'focal'"):
        check_all([{"name": "focl"}])
    with pytest.raises(ConfigError, match="losses check: gama: there is no key 'gama'"):
        check_all([{"name": "focal", "gama": 1}])


def test_a_bias_of_its_own_comes_before_inherited_claims(own: str) -> None:
    finding = check_all([{"name": f"{own}:Sharper"}])
    assert [(found.expected, found.found, found.as_stated) for found in finding] == [("over", "under", False)]

"""The propriety test against closed forms, and the stated bias of every loss."""

import sys
from pathlib import Path

import pytest
import torch

from tests.losses.setting import loss_of
from trimtab.config import ConfigError, WorkError
from trimtab.losses import StatedBias
from trimtab.losses.propriety import (
    CONTEXTS,
    REPEATS,
    TEXTS,
    check,
    check_all,
    distributions,
    fit,
    reads_logits,
    stated_biases,
)
from trimtab.training.components import LOSSES


def test_each_context_has_a_distribution() -> None:
    assert all(sum(context.values()) == REPEATS for context in CONTEXTS)
    torch.testing.assert_close(distributions().sum(-1), torch.ones(len(CONTEXTS)).double())
    assert distributions()[2, TEXTS.index("7")] == 0.4


def test_cross_entropy_is_minimised_by_the_truth() -> None:
    fitted, converged = fit(loss_of("cross_entropy"))
    assert converged
    torch.testing.assert_close(fitted, distributions(), rtol=0, atol=1e-4)


def test_label_smoothing_is_minimised_by_the_smoothed_truth() -> None:
    fitted, _ = fit(loss_of({"name": "label_smoothing", "smoothing": 0.2}))
    torch.testing.assert_close(fitted, 0.8 * distributions() + 0.2 / len(TEXTS), rtol=0, atol=1e-4)


def test_generalized_cross_entropy_is_minimised_by_a_power_of_the_truth() -> None:
    fitted, _ = fit(loss_of({"name": "generalized_cross_entropy", "q": 0.5}))
    squared = distributions() ** 2
    torch.testing.assert_close(fitted, squared / squared.sum(-1, keepdim=True), rtol=0, atol=1e-3)


def test_soft_tokens_is_minimised_by_the_truth_convolved_with_its_kernel() -> None:
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


def test_every_shipped_loss_has_the_bias_that_it_states() -> None:
    results = check_all()
    assert {result.loss for result in results} == {entry.name for entry in LOSSES if reads_logits(entry.name)}
    assert [result for result in results if not result.as_stated] == []
    proper = {result.loss for result in results if result.stated == "none"}
    assert {"cross_entropy", "ranked_probability", "weighted"} <= proper
    stated = {result.loss: result.stated for result in results if result.loss not in ("number_token", "sum")}
    assert stated["generalized_cross_entropy"] == "over"
    for name in ("focal", "label_smoothing", "uncertainty_smoothing", "confidence_penalty"):
        assert stated[name] == "under"
    distances = {
        str(f.parameters.get("distance")): f.measured for f in results if f.loss == "number_token" and f.weight
    }
    assert distances == {"None": "over", "mse": "none"}


def test_every_shipped_loss_states_a_bias() -> None:
    for entry in LOSSES:
        assert None not in stated_biases({"name": entry.name}) or not reads_logits(entry.name), entry.name


def test_a_loss_that_reads_no_logits_has_no_bias_to_measure() -> None:
    with pytest.raises(ConfigError, match="'thinking_length' reads further outputs of a model and no logits"):
        check({"name": "thinking_length"}, None)


def test_a_wrongly_stated_bias_is_reported() -> None:
    result = check({"name": "focal"}, StatedBias("none"))
    assert (result.measured, result.stated, result.as_stated) == ("under", "none", False)
    assert result.as_dict()["as_stated"] is False


def test_an_unbiased_mean_over_wrong_distributions_is_not_proper() -> None:
    # A flat and a sharp context may cancel in the mean confidence; the divergence does not.
    result = check({"name": "focal"}, StatedBias("none"))
    assert result.divergence > 0.01 and not result.as_stated


OWN = '''
from torch.nn import functional

from trimtab.losses.focal import Focal


class Brier:
    """Σ (p − label)²: proper."""

    bias = "none"

    def __init__(self, *, power: float = 2.0) -> None:
        self.power = power

    def __call__(self, logits, labels, batch_metadata):
        mask = labels != -100
        target = functional.one_hot(labels[mask], logits.shape[-1])
        values = ((logits[mask].softmax(-1) - target).abs() ** self.power).sum(-1)
        return {"loss": values.mean(), "weight": mask.sum().to(logits.dtype), "aux": {}}


class WrongBias(Brier):
    bias = "over"


class NoBias(Brier):
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


def test_the_bias_of_a_users_own_loss_is_checked(own: str) -> None:
    brier, wrong, none, cubic = check_all(
        [{"name": f"{own}:{name}"} for name in ("Brier", "WrongBias", "NoBias")]
        + [{"name": f"{own}:Brier", "power": 3.0}]
    )
    assert (brier.stated, brier.measured, brier.as_stated) == ("none", "none", True)
    assert (wrong.stated, wrong.measured, wrong.as_stated) == ("over", "none", False)
    assert (none.stated, none.as_stated) == (None, True)
    assert (cubic.stated, cubic.measured, cubic.as_stated) == ("none", "under", False)


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
def test_a_loss_that_raises_is_reported_with_its_line_and_the_interface(name: str, words: str) -> None:
    with pytest.raises(
        WorkError, match=rf"^The loss '{__name__}:{name}' failed in the propriety test.*{words}"
    ) as caught:
        check_all([{"name": f"{__name__}:{name}"}])
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^It needs the tag 'conf'\.$"):
        check_all([{"name": f"{__name__}:Asks"}])


def test_an_unknown_loss_or_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no loss 'focl'. Did you mean 'focal'"):
        check_all([{"name": "focl"}])
    with pytest.raises(ConfigError, match="losses check: gama: there is no key 'gama'"):
        check_all([{"name": "focal", "gama": 1}])


def test_a_subclass_overrides_the_bias_of_a_shipped_loss(own: str) -> None:
    results = check_all([{"name": f"{own}:Sharper"}])
    assert [(result.stated, result.measured, result.as_stated) for result in results] == [("over", "under", False)]

"""The policy gradient: its expectation, its invariance, and what has no reward."""

import pytest
import torch

from trimtab.errors import WorkError
from trimtab.losses.module import IGNORE
from trimtab.rollouts import PolicyGradient
from trimtab.rollouts.source import _advantages

REWARDS = torch.tensor([1.0, 0.2, -0.5], dtype=torch.float64)
LOGITS = torch.tensor([0.3, -0.2, 0.6], dtype=torch.float64)


def bandit(draws: int, group: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean gradient of a bandit's logits, and its standard error, over groups of one-token answers."""
    generator = torch.Generator().manual_seed(seed)
    actions = torch.multinomial(LOGITS.softmax(0), draws * group, replacement=True, generator=generator).view(
        draws, group
    )
    advantages = torch.tensor(_advantages(REWARDS[actions].flatten().tolist(), group)).view(draws, group)
    scores = torch.eye(3, dtype=torch.float64)[actions] - LOGITS.softmax(0)  # of log π(action)
    each = -(advantages[..., None] * scores).mean(1)
    return each.mean(0), each.std(0) / draws**0.5


def test_the_estimate_is_the_exact_gradient_of_the_mean_reward() -> None:
    logits = LOGITS.clone().requires_grad_()
    (-(logits.softmax(0) * REWARDS).sum()).backward()
    assert logits.grad is not None
    mean, error = bandit(100_000 // 4, 4)
    assert bool(((mean - logits.grad).abs() < 3 * error).all())
    assert float(logits.grad.abs().max()) > 30 * float(error.max())  # so that a wrong sign or factor would show


def batch(rows: slice = slice(None)) -> tuple[torch.Tensor, torch.Tensor, dict[str, list[float]]]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 5, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(7, (4, 5), generator=generator)
    labels[:, 0] = IGNORE
    labels[2, 3:] = IGNORE
    advantage, reward = [0.5, -1.0, 0.25, 0.0], [1.0, 0.0, 1.0, 0.5]
    return logits[rows], labels[rows], {"advantage": advantage[rows], "reward": reward[rows], "temperature": [0.7] * 4}


def test_it_is_the_advantage_times_the_log_probability_of_the_whole_answer() -> None:
    logits, labels, metadata = batch()
    output = PolicyGradient()(logits, labels, metadata)
    expected = 0.0
    for row, advantage in enumerate(metadata["advantage"]):
        scores = (logits[row].float() / 0.7).log_softmax(-1)
        expected -= advantage * sum(float(scores[t, y]) for t, y in enumerate(labels[row].tolist()) if y != IGNORE) / 4
    assert float(output["loss"]) == pytest.approx(expected, abs=1e-5)
    assert output["aux"]["reward"] == 0.625
    assert output["aux"]["rollout_tokens"] == 14 / 4


def test_halves_add_up_to_the_whole() -> None:
    loss = PolicyGradient()
    whole = loss(*batch())
    parts = [loss(*batch(rows)) for rows in (slice(0, 1), slice(1, 4))]
    total = sum(float(part["loss"] * part["weight"]) for part in parts)
    assert total == pytest.approx(float(whole["loss"] * whole["weight"]), abs=1e-6)
    assert [float(loss.denominators(labels, metadata)) for _, labels, metadata in (batch(), batch(slice(0, 1)))] == [
        4,
        1,
    ]


def test_rows_without_an_advantage_do_not_count() -> None:
    logits, labels, metadata = batch()
    logits.requires_grad_()
    output = PolicyGradient()(logits, labels, {"reward": metadata["reward"]})
    assert (float(output["loss"].detach()), float(output["weight"])) == (0.0, 0.0)
    with pytest.raises(WorkError, match=r"needs rollouts.* Set data.rollouts"):
        PolicyGradient()(logits, labels, {"step": 1})

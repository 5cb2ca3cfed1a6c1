"""Caps, hazards and confidence, against plain formulas and simulated lengths."""

import math

import numpy as np
import pytest
import torch

from trimtab.metacognition.caps import best_cap, check_caps, confidence, expected_use, length_loss, survival

CAPS = torch.tensor([0, 2, 4, 8])


def test_survival_use_and_confidence_by_hand() -> None:
    hazards = torch.tensor([0.5, 0.25, 1 / 3], dtype=torch.float64).logit()
    assert survival(hazards).tolist() == pytest.approx([1, 0.5, 0.375, 0.25])
    assert expected_use(hazards, CAPS).tolist() == pytest.approx([0, 2, 2 + 2 * 0.5, 2 + 1 + 4 * 0.375])
    sure = confidence(torch.tensor([0.1, 0.5, 0.2, 0.0], dtype=torch.float64).clamp(min=1e-12).logit())
    assert sure.tolist() == pytest.approx([0.1, 0.55, 0.64, 0.64])


def test_confidence_never_falls_and_use_neither() -> None:
    logits = 20 * torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    assert bool((confidence(logits).diff(dim=-1) >= 0).all())
    assert bool((expected_use(logits[:, :3], CAPS).diff(dim=-1) >= 0).all())


def test_the_best_cap_weighs_confidence_against_its_price() -> None:
    sure, use = torch.tensor([[0.1, 0.5, 0.8, 0.9]]), torch.tensor([[0.0, 2.0, 4.0, 8.0]])
    assert [int(best_cap(sure, use, CAPS, price)) for price in (0.0, 0.5, 1.3, 5.0)] == [3, 2, 1, 0]
    assert int(best_cap(torch.full((1, 4), 0.5), torch.zeros(1, 4), CAPS, 1.0)) == 0  # of equal ones the lowest


def test_the_length_loss_is_the_likelihood_of_ended_and_cut_thoughts() -> None:
    eta = [0.5, 0.25, 0.2]
    hazards = torch.tensor([eta] * 6, dtype=torch.float64).logit()
    lengths = torch.tensor([0, 2, 3, 4, 9, 2])
    ended = torch.tensor([True, True, True, False, True, False])
    expected = [0.5, 0.5, 0.5 * 0.25, 0.5, 0.5 * 0.75 * 0.8, 1.0]
    assert length_loss(hazards, CAPS, lengths, ended).tolist() == pytest.approx([-math.log(p) for p in expected])


def test_censored_lengths_give_the_right_median_and_a_mean_of_squares_does_not() -> None:
    random, caps = np.random.default_rng(0), torch.arange(0, 41, 2)
    true, cut = random.integers(1, 31, 20_000), random.integers(1, 31, 20_000)
    length, ended = torch.tensor(np.minimum(true, cut)), torch.tensor(true < cut)
    assert 0.4 < float(ended.float().mean()) < 0.6
    hazards = torch.zeros(len(caps) - 1, requires_grad=True)
    optimizer = torch.optim.Adam([hazards], lr=0.2)
    for _ in range(200):
        optimizer.zero_grad()
        length_loss(hazards.expand(len(length), -1), caps, length, ended).mean().backward()
        optimizer.step()
    median = int(torch.searchsorted(-survival(hazards.detach()), torch.tensor(-0.5)))
    wanted = int(np.searchsorted(caps.numpy(), np.median(true)))
    by_squares = int(np.searchsorted(caps.numpy(), float(length.float().mean())))
    assert abs(median - wanted) <= 1 < abs(by_squares - wanted)


@pytest.mark.parametrize("caps", [(0,), (1, 2), (0, 3, 3), (0, 4, 2), ()])
def test_caps_that_are_no_budgets_are_refused(caps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="caps: they must begin with 0 and increase"):
        check_caps(caps)

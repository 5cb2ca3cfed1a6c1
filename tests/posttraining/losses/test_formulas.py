"""Every objective against values computed elsewhere, and against its derivatives."""

import math

import pytest
import torch
from torch import Tensor

from trimtab.posttraining.losses.formulas import FORMULAS, WITHOUT_REFERENCE, Objective, Pairs, Settings


def of(policy: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> Pairs:
    """Pairs from log probabilities of chosen and rejected answers of one token each."""
    chosen, rejected = policy
    return Pairs(chosen, rejected, chosen, rejected, chosen - reference[0], rejected - reference[1])


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


TORCHTUNE = of(
    (tensor(-0.5, -10.0, -1.0), tensor(-0.1, -30.0, -21.0)), (tensor(-0.5, -10.1, -0.1), tensor(-0.1, -20.1, -0.1))
)
"""Log ratios 0, 0.1 − (−9.9) = 10 and −0.9 − (−20.9) = 20."""

RATIOS = of((tensor(1.8, 0.8), tensor(0.2, 0.2)), (tensor(0.0, 0.0), tensor(0.0, 0.0)))
"""Log ratios a = 1.8, 0.8 and b = 0.2: margins β(a − b) of 0.16 and 0.06 at β = 0.1."""


def value(objective: Objective, pairs: Pairs, **settings: float) -> list[float]:
    return [round(one, 7) for one in FORMULAS[objective](pairs, Settings(**settings)).tolist()]


def near(values: list[float], *expected: float) -> bool:
    return values == pytest.approx(list(expected), abs=1e-6)


def test_torchtunes_values() -> None:
    assert near(value("sigmoid", TORCHTUNE), 0.6931472, 0.3132617, 0.1269280)
    assert near(value("hinge", TORCHTUNE), 1.0, 0.0, 0.0)


def test_llama_factorys_values() -> None:
    assert near(value("sigmoid", RATIOS), 0.616344, 0.663597)
    assert near(value("conservative", RATIOS, flip=0.1), 0.632344, 0.669597)
    assert near(value("robust", RATIOS, flip=0.1), 0.596344, 0.656097)
    assert near(value("apo_zero", RATIOS), 0.960121, 0.985010)


def test_apo_down_is_its_formula() -> None:
    a, margin = 0.18, 0.16
    assert near(value("apo_down", RATIOS)[:1], 1 / (1 + math.exp(-a)) + 1 - 1 / (1 + math.exp(-margin)))


def test_ipo_simpo_and_orpo_are_their_formulas() -> None:
    assert near(value("ipo", RATIOS), (1.6 - 5) ** 2, (0.6 - 5) ** 2)
    means = of((tensor(-0.5), tensor(-1.5)), (tensor(0.0), tensor(0.0)))
    assert near(value("simpo", means, beta=2.0, margin=0.5), math.log1p(math.exp(-1.5)))
    odds = (math.exp(-0.5) / (1 - math.exp(-0.5))) / (math.exp(-1.5) / (1 - math.exp(-1.5)))
    assert near(value("orpo", means), 0.5 + 0.1 * math.log1p(1 / odds))


def test_conservative_and_robust_without_flips_are_sigmoid() -> None:
    for objective in ("conservative", "robust"):
        assert value(objective, RATIOS) == value("sigmoid", RATIOS)  # type: ignore[arg-type]


def test_robust_is_unbiased_under_flips() -> None:
    flipped = Pairs(RATIOS.rejected, RATIOS.chosen, RATIOS.mean_rejected, RATIOS.mean_chosen, RATIOS.b, RATIOS.a)
    for share in (0.1, 0.3):
        settings = Settings(flip=share)
        expected = (1 - share) * FORMULAS["robust"](RATIOS, settings) + share * FORMULAS["robust"](flipped, settings)
        torch.testing.assert_close(expected, FORMULAS["sigmoid"](RATIOS, Settings()))


@pytest.mark.parametrize("objective", FORMULAS)
def test_gradients_are_right_and_better_pairs_have_a_lower_loss(objective: Objective) -> None:
    chosen = tensor(-0.3, -2.0, -0.01).requires_grad_()
    rejected = tensor(-0.9, -1.0, -3.0).requires_grad_()
    zeros = (torch.zeros(3, dtype=torch.float64),) * 2
    settings = Settings(margin=0.1 if objective == "simpo" else 0.0, flip=0.1 if objective == "robust" else 0.0)

    def loss(chosen: Tensor, rejected: Tensor) -> Tensor:
        return FORMULAS[objective](of((chosen, rejected), zeros), settings)

    assert torch.autograd.gradcheck(loss, (chosen, rejected))
    (gradient,) = torch.autograd.grad(loss(chosen, rejected).sum(), rejected)
    assert (gradient >= 0).all()


def test_orpo_is_finite_where_an_answer_is_certain() -> None:
    pairs = of((tensor(0.0), tensor(-800.0)), (tensor(0.0), tensor(0.0)))
    assert all(math.isfinite(one) for one in value("orpo", pairs))


def test_only_simpo_and_orpo_ignore_the_reference() -> None:
    shifted = of((RATIOS.chosen, RATIOS.rejected), (tensor(0.3, 0.1), tensor(-0.2, 0.4)))
    same = {name for name in FORMULAS if value(name, shifted) == value(name, RATIOS)}
    assert same == set(WITHOUT_REFERENCE)

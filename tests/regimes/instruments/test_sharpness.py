import math
from typing import Any

import pytest
import torch

from tests.regimes.instruments.problems import dense_hessian, generator, network, quadratic, symmetric
from trimtab.regimes.instruments import extreme_eigenvalue, sharpness

SPECTRA = [
    [5.0, 2.0, 1.0, 0.5, 0.0, -1.0],
    [-7.0, 3.0, 1.0, 0.0, -2.0, -0.1],  # the dominating one is negative
    [4.0, 4.0, 4.0, 1.0, -1.0, 0.0],  # several times the same
    [-3.0, -2.0, -1.0, -0.5, -0.25, -0.125],  # a maximum
    [1e-6, 2e-7, 0.0, 0.0, 0.0, 0.0],
    [1e8, 3e7, 1.0, 0.0, -1.0, -2.0],
]


@pytest.mark.parametrize("hvp", ["exact", "finite_difference"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_quadratic(spectrum: list[float], hvp: Any) -> None:
    if hvp == "finite_difference" and max(spectrum) < 1e-3:
        return  # the curvature is below the rounding of gradients of order 1
    loss, parameters = quadratic(symmetric(spectrum))
    right = max(spectrum, key=abs)
    scale = 1.0 if hvp == "exact" else 100.0  # rounding is all that a finite difference has here
    result = sharpness(loss, parameters, generator(), hvp=hvp, iterations=500, tolerance=1e-6 * scale)
    assert result.converged and result.residual <= 1e-6 * scale
    assert result.value == pytest.approx(right, rel=1e-8 * scale)
    top = sharpness(loss, parameters, generator(), hvp=hvp, which="algebraic", iterations=2000, tolerance=1e-6 * scale)
    assert top.value == pytest.approx(max(spectrum), rel=1e-5 * scale, abs=1e-8 * scale * abs(right))


def test_the_vector_belongs_to_the_value() -> None:
    matrix = symmetric(SPECTRA[0])
    loss, parameters = quadratic(matrix)
    result = sharpness(loss, parameters, generator(), tolerance=1e-9)
    vector = torch.cat([piece.flatten() for piece in result.vector])
    torch.testing.assert_close(matrix @ vector, result.value * vector, atol=1e-8, rtol=0)
    assert vector.norm().item() == pytest.approx(1)


def test_a_tie_of_opposite_signs_is_reported_and_the_algebraic_eigenvalue_found() -> None:
    loss, parameters = quadratic(symmetric([2.0, -2.0, 1.0, 0.5, 0.0]))
    tied = sharpness(loss, parameters, generator(), tolerance=1e-6)
    assert not tied.converged and tied.residual > 1e-3 and tied.iterations == 100
    top = sharpness(loss, parameters, generator(), which="algebraic", tolerance=1e-6)
    assert top.converged and top.value == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize("which", ["absolute", "algebraic"])
def test_no_curvature(which: Any) -> None:
    loss, parameters = quadratic(torch.zeros(4, 4, dtype=torch.float64))
    result = sharpness(loss, parameters, generator(), which=which)
    assert (result.value, result.iterations, result.converged, result.residual) == (0.0, 1, True, 0.0)


def test_one_steep_direction_among_many_flat_ones() -> None:
    # A start that is nearly an eigenvector of the bulk: its residual is small at first, and grows.
    diagonal = torch.ones(1_000_000, dtype=torch.float64)
    diagonal[0] = 2.0
    result = extreme_eigenvalue(lambda v: [diagonal * v[0]], [torch.ones(1_000_000, dtype=torch.float64)])
    assert result.converged and result.value == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_network(seed: int) -> None:
    loss, parameters = network(torch.float64, seed)
    eigenvalues = torch.linalg.eigvalsh(dense_hessian(loss, parameters))
    result = sharpness(loss, parameters, generator(seed), iterations=1000, tolerance=1e-6, which="algebraic")
    assert result.value == pytest.approx(eigenvalues[-1].item(), rel=1e-8)
    near = sharpness(loss, parameters, generator(seed), iterations=1000, tolerance=1e-4, hvp="finite_difference")
    assert near.value == pytest.approx(eigenvalues[eigenvalues.abs().argmax()].item(), rel=1e-5)
    single, leaves = network(torch.float32, seed)
    coarse = sharpness(single, leaves, generator(seed), hvp="finite_difference")
    assert coarse.converged and coarse.value == pytest.approx(near.value, rel=1e-3)


def test_the_generator_decides_the_start() -> None:
    loss, parameters = network(torch.float64)
    a, b, c = (sharpness(loss, parameters, generator(seed), iterations=3) for seed in (1, 1, 2))
    assert a == b and a != c


def test_not_finite_is_not_hidden() -> None:
    for which in ("absolute", "algebraic"):
        result = extreme_eigenvalue(lambda v: [v[0] * math.inf], [torch.ones(2)], which=which)
        assert math.isnan(result.value) and not result.converged and result.iterations == 1


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="at least one iteration"):
        extreme_eigenvalue(list, [torch.ones(2)], iterations=0)
    with pytest.raises(ValueError, match="non-zero, finite start vector, found one of length 0"):
        extreme_eigenvalue(list, [torch.zeros(2)])

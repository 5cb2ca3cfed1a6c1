"""Measurements of training dynamics: curvature, step size, gradient noise and stability of trajectories.

They depend on neither models nor the training loop: they take tensors and callables, and do not change the tensors.
"""

from trimtab.regimes.instruments.critical_lr import CriticalRate, critical_learning_rate
from trimtab.regimes.instruments.hessian import gradient_of, hessian_vector_product
from trimtab.regimes.instruments.intervals import batch_means_interval
from trimtab.regimes.instruments.lyapunov import LyapunovExponent, largest_exponent
from trimtab.regimes.instruments.noise_scale import NoiseEstimate, NoiseScale, micro_batch_estimate, noise_estimate
from trimtab.regimes.instruments.sharpness import Eigenvalue, extreme_eigenvalue, sharpness

__all__ = [
    "CriticalRate",
    "Eigenvalue",
    "LyapunovExponent",
    "NoiseEstimate",
    "NoiseScale",
    "batch_means_interval",
    "critical_learning_rate",
    "extreme_eigenvalue",
    "gradient_of",
    "hessian_vector_product",
    "largest_exponent",
    "micro_batch_estimate",
    "noise_estimate",
    "sharpness",
]

"""How much better than it is the best of several noisy trials looks (the winner's curse)."""

import numpy as np


def expected_optimism(trials: int, noise: float = 1.0) -> float:
    """The expected advantage of the best observed value over its true value, if all settings are equally good.

    It is `noise`, the standard deviation of an observed value, times the expected maximum of `trials` standard normal variables:
    1.49 for 9 trials, 2.04 for 30, 2.32 for 60. Settings that really differ make it smaller.
    """
    if trials < 1:
        raise ValueError(f"trials: it must be at least 1, but it is {trials}")
    from scipy.special import log_ndtr

    x = np.linspace(-10.0, 12.0, 22_001)
    density = trials * np.exp((trials - 1) * log_ndtr(x) - x**2 / 2) / np.sqrt(2 * np.pi)
    return float(noise * np.trapezoid(x * density, x))

import numpy as np
import pytest

from trimtab.errors import ConfigError, DataError
from trimtab.evidence import Claim, aa_false_alarms, binomial_interval, noise_floor

CLAIM = Claim("val_loss", False, 1e-6)


def bank(groups=15, runs=6, drift=0.0, seed=1):
    """Runs of one seed share its level, far larger than the noise; `drift` is added run by run."""
    generator = np.random.default_rng(seed)
    return {s: 5 * s + generator.normal(size=runs) + drift * np.arange(runs) for s in range(groups)}


def test_the_noise_floor_is_the_standard_deviation():
    assert noise_floor([1.0, 3.0]) == pytest.approx(np.sqrt(2))
    with pytest.raises(DataError, match="two"):
        noise_floor([1.0])


def test_the_clopper_pearson_interval_of_known_cases():
    # Clopper and Pearson for 0 and 5 of 10.
    assert binomial_interval(0, 10) == (0, pytest.approx(0.3085, abs=1e-4))
    assert binomial_interval(5, 10) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))
    assert binomial_interval(10, 10)[1] == 1


@pytest.mark.parametrize("n", [6, 10, 20])
def test_the_false_alarm_rate_under_a_true_null_is_at_most_alpha(n):
    result = aa_false_alarms(bank(), n, CLAIM, draws=600, seed=2)
    assert result.low <= 0.05  # the rate may be below .05, never clearly above
    assert result.rate == result.alarms / result.draws
    assert result.low <= result.rate <= result.high
    assert sum(result.verdicts.values()) == result.draws == 600
    assert (result.groups, result.runs) == (15, 90)
    assert result == aa_false_alarms(bank(), n, CLAIM, draws=600, seed=2)


def test_pairs_come_from_within_a_group():
    wide = aa_false_alarms(bank(), 8, Claim("val_loss", False, 4.5), draws=200)
    assert wide.verdicts.get("equivalent", 0) > 190  # groups are 5 apart; a pair across them would be inconclusive


def test_kept_roles_show_an_effect_of_the_order():
    assert aa_false_alarms(bank(drift=1.0), 10, CLAIM, draws=200, roles="kept").rate > 0.5
    assert aa_false_alarms(bank(drift=1.0), 10, CLAIM, draws=400).low <= 0.05


def test_unusable_banks_are_refused():
    with pytest.raises(DataError, match="Group b"):
        aa_false_alarms({"a": [1.0, 2.0], "b": [1.0]}, 6, CLAIM)
    with pytest.raises(DataError, match="empty"):
        aa_false_alarms({}, 6, CLAIM)
    with pytest.raises(DataError, match="group a"):
        aa_false_alarms({"a": [1.0, np.nan]}, 6, CLAIM)
    with pytest.raises(ConfigError, match="6 pairs"):
        aa_false_alarms(bank(), 5, CLAIM)

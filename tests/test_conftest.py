"""What `conftest.py` sets for every test."""

from hypothesis import HealthCheck, settings


def test_a_slow_machine_fails_no_property_test() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check

"""The settings that `conftest.py` makes for every test."""

from hypothesis import HealthCheck, settings


def test_property_tests_have_no_deadline() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check

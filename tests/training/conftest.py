"""Drawing a loss curve takes longer than most of these runs; `tests/reports` and `tests/cli` see to the drawing."""

from collections.abc import Iterator

import pytest

from trimtab.config import allowing_code
from trimtab.training.runs import lifecycle


@pytest.fixture(autouse=True)
def code_of_the_tests() -> Iterator[None]:
    """The runs of these tests name components in `tests`; `test_recorded.py` sees to what is refused."""
    with allowing_code(True):
        yield


@pytest.fixture(autouse=True, scope="package")
def no_curves() -> Iterator[None]:
    drawn = lifecycle.loss_curve
    lifecycle.loss_curve = lambda run, folder: None  # type: ignore[assignment, misc, return-value]
    yield
    lifecycle.loss_curve = drawn

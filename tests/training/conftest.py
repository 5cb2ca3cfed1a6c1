"""The runs of these tests name components in `tests`; `test_recorded.py` sees to what is refused."""

from collections.abc import Iterator

import pytest

from trimtab.config import allowing_code


@pytest.fixture(autouse=True)
def code_of_the_tests() -> Iterator[None]:
    """Records may name code."""
    with allowing_code(True):
        yield

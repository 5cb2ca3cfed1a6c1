"""The tests of this floor look at small training runs."""

from tests.training.conftest import code_of_the_tests

__all__ = ["code_of_the_tests"]

"""Small sets of preference pairs."""

from typing import Any


def sums(count: int) -> list[dict[str, Any]]:
    """Preference pairs in TRL's format: the right sum, and one that is too large."""
    pairs = [(a, b) for a in range(1, 31) for b in range(1, 31)][:count]
    return [{"prompt": f"{a} + {b}", "chosen": str(a + b), "rejected": str(a + b + 1 + b % 3)} for a, b in pairs]

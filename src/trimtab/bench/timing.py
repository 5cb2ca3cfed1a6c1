"""Timing of variants in alternation, so that slow moments of the machine affect all of them equally."""

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int, *, warmup: int = 2, settle: int = 0
) -> dict[str, list[float]]:
    """Seconds per call: for each variant a list with `rounds` values, measured in alternation.

    Each variant first runs `warmup` times untimed (allocators, kernel caches). Round i of one variant and round i of another are
    a pair, because they ran next to each other. The order within a round is reversed every other round. Before each timed call
    come `settle` untimed ones, so that a variant does not pay for the caches and heap that the previous one left.
    """
    for call in variants.values():
        for _ in range(warmup):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants.items())
    for index in range(rounds):
        for name, call in order if index % 2 == 0 else reversed(order):
            for _ in range(settle):
                call()
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(slower: list[float], faster: list[float]) -> float:
    """The median over pairs of slower / faster."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))
